//! Client, router and engine in one trace, as a collector receives it: the chain of parents, the three services, and that
//! each span lies within its parent.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::{Script, Traces};
use tests::configuration::{Configuration, model};
use tests::real_parts::{Collector, PYTHON, ROTEL, found, traced_question};
use tests::router::Router;
use tests::{backend, bounded};

#[test]
fn one_trace_from_openllmetry_to_the_engine() {
    one_trace("engine::one_trace_from_openllmetry_to_the_engine", "openllmetry", "openai.chat");
}

#[test]
fn one_trace_from_openinference_to_the_engine() {
    one_trace("engine::one_trace_from_openinference_to_the_engine", "openinference", "ChatCompletion");
}

/// A whole answer and a stream, each in a trace of its own. `called` names the instrumentation's span of the call.
fn one_trace(test: &str, instrumentation: &str, called: &str) {
    let Some(python) = found(test, PYTHON) else { return };
    let Some(rotel) = found(test, ROTEL) else { return };
    bounded(async {
        let collector = Collector::start(&python, &rotel).await;
        let endpoint = collector.grpc.parse().expect("an endpoint");
        let engine = backend::scripted(Script {
            first_token_ms: 20,
            traces: Some(Traces { endpoint, service: Traces::SERVICE.into() }),
            ..backend::script("small", &[])
        })
        .await;
        let router = Router::start(Configuration::exactly(format!(
            "listen: {{ http: '127.0.0.1:0', metrics: off, admin: off }}\nmodels:\n  - {}\nobservability:\n  tracing:\n    \
             exporter: {{ type: otlp, endpoint: '{}', insecure: true }}\n    sampling: {{ type: always_on }}\n",
            model("small", "", &[("backend-1", &engine)]),
            collector.grpc
        )))
        .await;
        let mut told = Vec::new();
        for (prompt, options) in [("Hello", &[][..]), ("Write a haiku about tea", &["stream"])] {
            let arguments = [&[instrumentation], options].concat();
            let variables = [("PROMPT", prompt)];
            told.push(
                traced_question(&python, &arguments, &router.base_url(), &collector.grpc, &variables).await,
            );
        }
        router.end().await;
        let answers = engine.requests();
        assert_eq!((answers.len(), engine.shutdown().await), (2, 0), "the engine delivered its spans");
        let spans = collector.spans().await;
        for told in &told {
            let mine: Vec<&Value> =
                spans.iter().filter(|span| span["trace_id"] == told["trace_id"]).collect();
            assert_chain(&mine, called);
        }
    });
}

fn assert_chain(spans: &[&Value], called: &str) {
    let engine = only(spans, "llm_request");
    let chain: Vec<&Value> = std::iter::successors(Some(engine), |span| parent(spans, span)).collect();
    let names: Vec<&str> = chain.iter().filter_map(|span| span["name"].as_str()).collect();
    let expected = [
        "llm_request",
        "semantic_router.upstream.request",
        "semantic_router.request.received",
        "POST",
        called,
        "question",
    ];
    assert_eq!(names, expected, "from the engine to the client");
    let services: BTreeSet<&str> =
        spans.iter().filter_map(|span| span["resource"]["service.name"].as_str()).collect();
    assert_eq!(services, BTreeSet::from(["client", "vllm", "vllm-semantic-router"]));
    let kinds: Vec<&str> = chain.iter().take(4).filter_map(|span| span["kind"].as_str()).collect();
    assert_eq!(kinds, ["server", "client", "server", "client"]);
    for pair in chain.windows(2) {
        let [inner, outer] = pair else { continue };
        let begins = inner["start_ns"].as_u64() >= outer["start_ns"].as_u64();
        assert!(begins, "{} begins before {}", inner["name"], outer["name"]);
    }
    assert_engine(engine, only(spans, "semantic_router.upstream.request"));
}

/// How far the wall clocks of two processes on one machine are believed to lie apart.
const CLOCKS_APART_NS: u64 = 1_000_000;

/// The engine's own figures agree with what the router read off its answer.
fn assert_engine(engine: &Value, upstream: &Value) {
    let (own, seen) = (&engine["attributes"], &upstream["attributes"]);
    assert_eq!(own["gen_ai.request.id"], seen["gen_ai.response.id"], "{upstream}");
    assert_eq!(own["gen_ai.response.model"], "small");
    assert_eq!(own["gen_ai.usage.prompt_tokens"], seen["gen_ai.usage.input_tokens"], "{upstream}");
    assert_eq!(own["gen_ai.usage.completion_tokens"], seen["gen_ai.usage.output_tokens"], "{upstream}");
    assert_eq!(own["gen_ai.request.temperature"], 0.5);
    assert_eq!(own["gen_ai.latency.time_to_first_token"], 0.02);
    // Two processes, each of which read the wall clock once and counts from there.
    let (own_end, seen_end) = (engine["end_ns"].as_u64(), upstream["end_ns"].as_u64());
    assert!(own_end.is_some(), "{engine} has no end");
    assert!(own_end <= seen_end.map(|end| end + CLOCKS_APART_NS), "{engine} outlives {upstream}");
}

fn only<'a>(spans: &[&'a Value], name: &str) -> &'a Value {
    let mut named = spans.iter().filter(|span| span["name"] == name);
    let (first, second) = (named.next(), named.next());
    assert!(second.is_none(), "{name} stands there twice");
    first.unwrap_or_else(|| missing(spans, name))
}

#[expect(clippy::panic, reason = "a span that is missing fails the test")]
fn missing<T>(spans: &[&Value], name: &str) -> T {
    panic!("no {name} in {:?}", spans.iter().map(|span| span["name"].to_string()).collect::<Vec<_>>())
}

fn parent<'a>(spans: &[&'a Value], span: &Value) -> Option<&'a Value> {
    let id = span["parent_id"].as_str()?;
    spans.iter().copied().find(|span| span["span_id"] == id)
}
