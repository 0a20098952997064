//! Prompts and answers in traces: nowhere unless a destination asks for them, and limits of what a span shows.

use serde_json::Value;
use simulator::Simulator;
use tests::client::{chat, streamed};
use tests::configuration::{Configuration, model};
use tests::router::{Left, Router};
use tests::span::Span;
use tests::{backend, bounded};

const SECRET: &str = "sk-proj-Z9x8W7v6U5t4S3r2Q1p0O9n8";

/// The router in front of a small model; `exporters` stand in brackets, `tracing` are further settings.
async fn router(exporters: &str, tracing: &str) -> (Router, Simulator) {
    let small = backend::small().await;
    let yaml = format!(
        "listen: {{ http: '127.0.0.1:0', metrics: off, admin: off }}\nmodels:\n  - {}\nobservability:\n  tracing:\n    \
         exporter: [{exporters}]\n    sampling: {{ type: always_on }}\n{tracing}",
        model("small", "", &[("backend-1", &small)]),
    );
    (Router::start(Configuration::exactly(yaml)).await, small)
}

/// The upstream spans of a trace, one per destination that prints JSON.
fn upstream(left: &Left, trace_id: &str) -> Vec<Span> {
    let spans = tests::span::of_trace(&left.0.stdout, trace_id);
    spans.into_iter().filter(|span| span.name == "semantic_router.upstream.request").collect()
}

#[test]
fn one_destination_sees_prompt_and_answer_and_the_other_does_not() {
    bounded(async {
        let exporters =
            "{ type: stdout, format: json, capture_content: true }, { type: stdout, format: json }";
        let (router, _backend) = router(exporters, "").await;
        let prompt = format!("Say hello to ada@example.com with {SECRET}");
        let mut answers = Vec::new();
        for body in [chat(&prompt), streamed(&format!("{prompt} again"))] {
            let answer = router.client().chat(&body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answers.push((answer.trace_id().to_owned(), answer.content()));
        }
        let left = router.end().await;
        for (trace_id, content) in answers {
            let spans = upstream(&left, &trace_id);
            let (seeing, blind): (Vec<&Span>, Vec<&Span>) =
                spans.iter().partition(|span| span.attributes.contains_key("input.value"));
            assert_eq!((seeing.len(), blind.len()), (1, 1), "{spans:?}");
            let shown = seeing[0].get("input.value").as_str().expect("a prompt");
            assert!(shown.starts_with("Say hello to __REDACTED__ with __REDACTED__"), "{shown}");
            let messages = seeing[0].get("gen_ai.output.messages").as_str().expect("messages");
            let messages: Value = serde_json::from_str(messages).expect("JSON");
            let answered = messages[0]["parts"][0]["content"].as_str().expect("an answer");
            assert!(!answered.is_empty());
            if !content.contains('@') {
                assert_eq!(answered, content);
            }
            let told = |name: &str| name.contains("messages") || name.ends_with(".value");
            assert!(!blind[0].attributes.keys().any(|name| told(name)), "{:?}", blind[0].attributes);
        }
        for text in [&left.0.stdout, &left.0.stderr] {
            assert!(!text.contains(SECRET) && !text.contains("ada@example.com"), "{text}");
        }
    });
}

#[test]
fn limits_of_a_span_hold_at_every_destination() {
    bounded(async {
        let limits = "    limits: { attributes: 5, attribute_bytes: 8, events: 0 }\n";
        let (router, _backend) = router("{ type: stdout, format: json }", limits).await;
        let trace_id = router.client().chat(&streamed("Hi")).await.trace_id().to_owned();
        let left = router.end().await;
        let spans = tests::span::of_trace(&left.0.stdout, &trace_id);
        assert!(spans.len() > 5);
        for span in &spans {
            assert!(span.attributes.len() <= 5 && span.events.is_empty(), "{span:?}");
            let texts = span.attributes.values().filter_map(Value::as_str);
            assert!(texts.map(str::len).all(|length| length <= 8), "{span:?}");
        }
        assert!(
            left.0.stdout.contains("\"DroppedAttributes\":") && left.0.stdout.contains("\"DroppedEvents\":1")
        );
    });
}
