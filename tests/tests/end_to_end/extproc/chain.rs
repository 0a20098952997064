//! Not alone: another processor behind us, Envoy's own tracing, and a real client in front.

use serde_json::json;
use tests::client::{chat, streamed};
use tests::configuration::{Configuration, model};
use tests::envoy::{self, Envoy, Setup, grpc_cluster, http_cluster, processor};
use tests::real_parts::{OpenAi, PYTHON, found};
use tests::router::Router;
use tests::{backend, bounded};

use super::{Bench, header};

/// An endpoint picker stands behind us: it sees the model that we chose, and its endpoint counts.
#[test]
fn an_endpoint_picker_behind_us_has_the_last_word() {
    let Some(program) = envoy::found("extproc::chain::an_endpoint_picker_behind_us_has_the_last_word") else {
        return;
    };
    for mode in ["BUFFERED", "FULL_DUPLEX_STREAMED"] {
        bounded(async {
            let (ours, pickers) = (backend::small().await, backend::small().await);
            let router = Router::start(Configuration::one_model(&ours)).await;
            let models = model("small", "", &[("picked", &pickers)]);
            let picker = Router::start(Configuration::new(&format!("models:\n  - {models}\n"))).await;
            let mut setup = Setup::new(router.extproc().await, mode, mode);
            setup.clusters.push(grpc_cluster("picker", picker.extproc().await));
            setup.behind.push(json!({
                "name": "picker",
                "typed_config": processor("picker", mode, mode),
            }));
            let envoy = Envoy::start(&program, &setup).await;
            for body in [chat("Hello"), streamed("Hello again")] {
                let answer = envoy.client().chat(&body).await;
                assert_eq!(answer.status, 200, "{mode}: {}", answer.text());
            }
            assert_eq!((ours.requests().len(), pickers.requests().len()), (0, 2));
            envoy.end().await;
            let ours = tests::span::all(&router.end().await.0.stdout);
            let theirs = tests::span::all(&picker.end().await.0.stdout);
            let upstream =
                ours.iter().find(|span| span.name == "semantic_router.upstream.request").expect("a span");
            assert_eq!(theirs[0].trace_id, upstream.trace_id, "one trace");
            assert_eq!(theirs[0].parent_id.as_deref(), Some(&*upstream.span_id));
        });
    }
}

/// With Envoy's own tracing our root is a child of Envoy's span, and what the backend continues is Envoy's too. Without it
/// the backend continues ours.
#[test]
fn a_trace_is_one_with_and_without_envoys_own_tracing() {
    let Some(program) = envoy::found("extproc::chain::a_trace_is_one_with_and_without_envoys_own_tracing")
    else {
        return;
    };
    const CLIENTS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (traces, sent) in [(false, Some(CLIENTS)), (true, Some(CLIENTS)), (false, None), (true, None)] {
        bounded(async {
            // Nobody listens for what Envoy exports: only its spans' places count here.
            let nowhere = backend::small().await;
            let address = nowhere.address();
            let bench = Bench::start_with(program.clone(), |router| {
                let mut setup = Setup::new(router, "BUFFERED", "STREAMED");
                setup.clusters.push(http_cluster("collector", address));
                if traces {
                    setup.manager = json!({ "tracing": { "provider": {
                        "name": "envoy.tracers.opentelemetry",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                            "http_service": {
                                "http_uri": { "uri": "http://collector/v1/traces", "cluster": "collector", "timeout": "1s" },
                            },
                            "service_name": "envoy",
                        },
                    } } });
                }
                setup
            })
            .await;
            let line = sent.map(|context| format!("traceparent: {context}"));
            let lines: Vec<&str> = line.iter().map(String::as_str).collect();
            let answer = bench.envoy.client().chat_with(&lines, &chat("Prove that tea is wet")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let engines = header(&bench.large.requests()[0], "traceparent").expect("a position").to_owned();
            let left = bench.end().await;
            let spans = left.spans(answer.trace_id());
            let upstream =
                spans.iter().find(|span| span.name == "semantic_router.upstream.request").expect("a span");
            assert!(engines.contains(&upstream.trace_id), "one trace: {engines}, {}", upstream.trace_id);
            if sent.is_some() {
                assert_eq!(upstream.trace_id, "0af7651916cd43dd8448eb211c80319c");
            }
            assert_eq!(
                engines.contains(&upstream.span_id),
                !traces,
                "{engines}: the span between us and the engine"
            );
            match (traces, sent) {
                (false, Some(_)) => assert_eq!(spans[0].parent_id.as_deref(), Some("b7ad6b7169203331")),
                (false, None) => assert_eq!(spans[0].parent_id, None),
                (true, _) => {
                    let parent = spans[0].parent_id.as_deref().expect("Envoy's span is the parent");
                    assert_ne!(parent, "b7ad6b7169203331");
                }
            }
        });
    }
}

#[test]
fn the_python_client_through_envoy() {
    let Some(program) = envoy::found("extproc::chain::the_python_client_through_envoy") else { return };
    let Some(python) = found("extproc::chain::the_python_client_through_envoy", PYTHON) else { return };
    let client = OpenAi::Python(python);
    bounded(async {
        let bench = Bench::start(program, "BUFFERED", "STREAMED").await;
        let url = bench.envoy.base_url();
        let plain = client.run("plain", &url, &[]).await;
        assert_eq!((&plain["status"], &plain["finish_reason"]), (&200.into(), &"stop".into()), "{plain}");
        assert_eq!(plain["headers"]["x-trace-id"].as_str().map(str::len), Some(32), "{plain}");
        let streaming = client.run("streaming", &url, &[]).await;
        assert_eq!((&streaming["finish_reason"], &streaming["usage_chunks"]), (&"stop".into(), &0.into()));
        assert!(streaming["chunks"].as_u64() > Some(5), "{streaming}");
        bench.end().await;
    });
}
