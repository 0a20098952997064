//! What breaks: clients that leave, backends that fail, and the router itself, killed behind a running Envoy.

use simulator::Simulator;
use tests::backend::{self, faulty};
use tests::bounded;
use tests::client::{chat, post, streamed};
use tests::configuration::Configuration;
use tests::envoy::{self, Envoy, Setup, http_cluster};
use tests::router::Router;

use super::Bench;

/// A router and an Envoy in front of one backend.
async fn before(backend: &Simulator, program: &std::path::Path, response_body: &str) -> (Router, Envoy) {
    let router = Router::start(Configuration::one_model(backend)).await;
    let envoy = Envoy::start(program, &Setup::new(router.extproc().await, "BUFFERED", response_body)).await;
    (router, envoy)
}

#[test]
fn a_client_that_leaves_in_the_middle() {
    let Some(program) = envoy::found("extproc::failures::a_client_that_leaves_in_the_middle") else { return };
    for response_body in ["STREAMED", "FULL_DUPLEX_STREAMED"] {
        bounded(async {
            let endless = faulty("small", &["never-ends"]).await;
            let (router, envoy) = before(&endless, &program, response_body).await;
            let request = post("/v1/chat/completions", &[], streamed("Hello").to_string().as_bytes());
            let mut connection = envoy.client().open(&request).await;
            connection.until("\"content\":\"This\"").await;
            connection.leave();
            backend::ended(&endless, 1).await;
            assert!(matches!(endless.requests()[0].outcome, simulator::Outcome::ClientLeft { .. }));
            router.process.stdout.until_contains("semantic_router.request.received").await;
            envoy.end().await;
            let spans = tests::span::all(&router.end().await.0.stdout);
            assert_eq!(spans[0].status, "unset");
            let cut = |(name, ..): &(String, _, _)| name == "semantic_router.cut_short";
            assert!(spans[0].events.iter().any(cut), "{response_body}: {:?}", spans[0].events);
            assert_eq!(spans.last().expect("a span").get("semantic_router.cancelled"), true);
        });
    }
}

#[test]
fn backends_that_fail() {
    let Some(program) = envoy::found("extproc::failures::backends_that_fail") else { return };
    bounded(async {
        // Its own error passes, and is no fault of the router.
        let refusing = faulty("small", &["status=503,retry-after=2"]).await;
        let (router, envoy) = before(&refusing, &program, "STREAMED").await;
        let answer = envoy.client().chat(&chat("Hello")).await;
        assert_eq!(answer.error(), (503, "simulated_fault".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("2"));
        envoy.end().await;
        let left = router.end().await;
        let spans = left.spans(answer.trace_id());
        assert_eq!(spans.last().expect("a span").get("http.response.status_code"), 503);

        // Envoy answers for one that nobody can reach.
        let gone = backend::small().await;
        let (router, envoy) = before(&gone, &program, "STREAMED").await;
        gone.shutdown().await;
        let answer = envoy.client().chat(&chat("Hello")).await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        envoy.end().await;
        let left = router.end().await;
        assert_eq!(left.spans(answer.trace_id())[0].status, "error");

        // What is no answer becomes an error of ours.
        let page = faulty("small", &["html"]).await;
        let (router, envoy) = before(&page, &program, "STREAMED").await;
        let answer = envoy.client().chat(&chat("Hello")).await;
        assert_eq!(answer.error(), (502, "upstream_invalid".to_owned()), "{}", answer.text());
        envoy.end().await;
        router.end().await;

        // A stream that breaks off is cut for the client too, and the trace does not say whose doing it was.
        let cut = faulty("small", &["cut-after=3"]).await;
        let (router, envoy) = before(&cut, &program, "STREAMED").await;
        let answer = envoy.client().chat(&streamed("Hello")).await;
        assert!(answer.status == 200 && !answer.complete && !answer.is_done(), "{}", answer.text());
        envoy.end().await;
        let left = router.end().await;
        let root = &left.spans(answer.trace_id())[0];
        assert!(
            root.events.iter().any(|(name, ..)| name == "semantic_router.cut_short"),
            "{:?}",
            root.events
        );

        // A stream that ends without its end is told so.
        let half = faulty("small", &["half-frame"]).await;
        let (router, envoy) = before(&half, &program, "FULL_DUPLEX_STREAMED").await;
        let answer = envoy.client().chat(&streamed("Hello")).await;
        let events = answer.events();
        assert_eq!(
            events.last().expect("an event")["error"]["code"],
            "upstream_invalid",
            "{}",
            answer.text()
        );
        envoy.end().await;
        router.end().await;
    });
}

/// The router dies behind a running Envoy, and comes back at the same address.
#[test]
fn the_router_is_killed_and_restarted() {
    let Some(program) = envoy::found("extproc::failures::the_router_is_killed_and_restarted") else { return };
    for failure_allowed in [false, true] {
        bounded(async {
            let elsewhere = backend::small().await;
            let address = elsewhere.address();
            let bench = Bench::start_with(program.clone(), |router| {
                let mut setup = Setup::new(router, "BUFFERED", "STREAMED")
                    .with("failure_mode_allow", failure_allowed.into());
                setup.clusters.push(http_cluster("elsewhere", address));
                setup.route = serde_json::json!({ "cluster": "elsewhere", "timeout": "60s" });
                setup
            })
            .await;
            let client = bench.envoy.client();
            let mut body = chat("Hello");
            body["model"] = "small".into();
            assert!(client.chat(&body).await.header("x-trace-id").is_some());
            let place = bench.router.extproc().await;
            bench.router.process.signal("KILL").await;
            let Bench { router, envoy, small, large } = bench;
            router.process.ended().await;
            let without = client.chat(&body).await;
            match failure_allowed {
                true => assert_eq!((without.status, without.header("x-trace-id")), (200, None)),
                false => assert!(without.status >= 500, "{}", without.text()),
            }
            let yaml = Configuration::two_models(&small, &large)
                .yaml()
                .replace("address: \"127.0.0.1:0\"", &format!("address: \"{place}\""));
            let router = Router::start(Configuration::exactly(yaml)).await;
            assert_eq!(router.extproc().await, place);
            // Envoy connects again when it is asked to; the first one may still find the connection closed.
            let mut answer = client.chat(&body).await;
            let until = std::time::Instant::now() + tests::PATIENCE;
            while answer.header("x-trace-id").is_none() && std::time::Instant::now() < until {
                answer = client.chat(&body).await;
            }
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.header("x-trace-id").is_some(), "Envoy does not find the router again");
            envoy.end().await;
            router.end().await;
        });
    }
}
