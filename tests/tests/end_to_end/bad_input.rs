//! What clients send by mistake or by malice: each gets the error that the API promises and a truthful span, and the router
//! goes on.

use serde_json::json;
use tests::client::{Answer, chat, post, streamed};
use tests::configuration::Configuration;
use tests::process::resident_bytes;
use tests::router::Router;
use tests::{backend, bounded};

const CHAT: &str = "/v1/chat/completions";

/// Bounds small enough to be reached.
const TIGHT: &str = "access: { limits: { body_bytes: 65536, header_bytes: 2048, messages: 100 } }";

/// A timeout short enough to be waited for.
const IMPATIENT: &str = "access: { limits: { read_timeout_ms: 300 } }";

fn body(json: &str) -> Vec<u8> {
    post(CHAT, &[], json.as_bytes())
}

fn bare(method: &str) -> Vec<u8> {
    format!("{method} {CHAT} HTTP/1.1\r\nhost: router\r\nconnection: close\r\n\r\n").into_bytes()
}

/// Each kind of bad request, and what it gets.
fn bad_requests() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let user = r#"{"role":"user","content":"Hi"}"#;
    let many = format!(r#"{{"model":"auto","messages":[{}]}}"#, vec![user; 101].join(","));
    let deep = format!(r#"{{"messages":[{user}],"extra":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let huge = chat(&"tea ".repeat(40_000)).to_string();
    let long_header = format!("x-long: {}", "a".repeat(4096));
    vec![
        ("no JSON", body("{\"model\": "), 400, "invalid_json"),
        ("an empty body", body(""), 400, "invalid_json"),
        ("two values", body("{}{}"), 400, "invalid_json"),
        ("no object", body("[1, 2]"), 400, "invalid_request"),
        ("no messages", body(r#"{"model":"auto"}"#), 400, "invalid_request"),
        ("messages of a wrong type", body(r#"{"model":"auto","messages":"Hi"}"#), 400, "invalid_request"),
        ("a message of a wrong type", body(r#"{"model":"auto","messages":["Hi"]}"#), 400, "invalid_request"),
        (
            "a model of a wrong type",
            body(&format!(r#"{{"model":7,"messages":[{user}]}}"#)),
            400,
            "invalid_request",
        ),
        (
            "stream of a wrong type",
            body(&format!(r#"{{"stream":"yes","messages":[{user}]}}"#)),
            400,
            "invalid_request",
        ),
        (
            "an unknown model",
            body(&format!(r#"{{"model":"gpt-99","messages":[{user}]}}"#)),
            404,
            "model_not_found",
        ),
        (
            "an unknown model with a long name",
            body(&format!(r#"{{"model":"{}","messages":[{user}]}}"#, "m".repeat(50_000))),
            404,
            "model_not_found",
        ),
        ("too many messages", body(&many), 400, "invalid_request"),
        ("deep nesting", body(&deep), 400, "invalid_json"),
        ("a body over the limit", body(&huge), 413, "request_too_large"),
        ("a header over the limit", post(CHAT, &[&long_header], b"{}"), 413, "request_too_large"),
        (
            "invalid UTF-8",
            post(CHAT, &[], b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}"),
            400,
            "invalid_json",
        ),
        (
            "a bare NUL byte",
            post(CHAT, &[], b"{\"messages\":[{\"role\":\"user\",\"content\":\"a\0b\"}]}"),
            400,
            "invalid_json",
        ),
        ("a compressed body", post(CHAT, &["content-encoding: gzip"], b"\x1f\x8b"), 400, "invalid_request"),
        ("GET on a POST route", bare("GET"), 405, "invalid_request"),
        ("DELETE on a POST route", bare("DELETE"), 405, "invalid_request"),
        ("a path of nobody", post("/v1/nothing", &[], b"{}"), 404, "not_found"),
    ]
}

/// The answer is in the API's form and names its trace.
fn assert_told(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.error(), (status, code.to_owned()), "{what}: {}", answer.text());
    let error = &answer.json()["error"];
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 20), "{what}: {error}");
    assert!(error["type"].is_string(), "{what}: {error}");
    assert!(answer.body.len() < 4096, "{what}: an answer of {} bytes", answer.body.len());
    assert_eq!(answer.trace_id().len(), 32, "{what}");
}

#[test]
fn each_mistake_gets_its_error_and_a_truthful_span() {
    bounded(async {
        let small = backend::small().await;
        let mut router = Router::start(Configuration::one_model(&small).and(TIGHT)).await;
        let mut traces = Vec::new();
        for (what, request, status, code) in bad_requests() {
            let answer = router.client().send(&request).await;
            assert_told(what, &answer, status, code);
            traces.push((what, status, answer.trace_id().to_owned()));
        }
        assert!(router.process.is_running());
        assert_eq!(router.client().chat(&chat("Hi")).await.status, 200, "it serves on");
        assert_eq!(small.requests().len(), 1, "no bad request reached the backend");
        let left = router.end().await;
        for (what, status, trace) in traces {
            let spans = left.spans(&trace);
            assert_eq!(spans[0].get("http.response.status_code"), status, "{what}");
            assert_eq!(spans[0].status, "unset", "{what}: the client's mistake is no fault of the router's");
        }
    });
}

#[test]
fn an_escaped_nul_is_text_like_any_other() {
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small)).await;
        let answer = router.client().chat(&chat("a\0b")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        router.end().await;
    });
}

#[test]
fn head_on_a_post_route_has_no_body() {
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small)).await;
        let answer = router.client().send(&bare("HEAD")).await;
        assert_eq!((answer.status, answer.body.len()), (405, 0));
        let left = router.end().await;
        assert_eq!(left.spans(answer.trace_id())[0].get("http.request.method"), "HEAD");
    });
}

#[test]
fn a_client_that_sends_its_body_too_slowly() {
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small).and(IMPATIENT)).await;
        let whole = body(&chat("Hi").to_string());
        let answer = router.client().send(&whole[..whole.len() - 5]).await;
        assert_told("half a body", &answer, 408, "request_timeout");
        // Half a head is no request: the connection ends, with or without a word.
        let mut connection = router.client().open(b"POST /v1/chat/comp").await;
        connection.until_end().await;
        let left = router.end().await;
        let read_ms = left.spans(answer.trace_id())[0].get("request.read_ms").as_f64().expect("a time");
        assert!(read_ms >= 300.0, "{read_ms}");
    });
}

#[test]
fn heads_that_are_no_http() {
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small)).await;
        let endless = [b"GET /health HTTP/1.1\r\nx: ".to_vec(), vec![b'a'; 2 << 20]].concat();
        let lines = format!("GET /health HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(5000)).into_bytes();
        for head in [b"\0\x01\x02\x03\r\n\r\n".to_vec(), b"GET\r\n\r\n".to_vec(), endless, lines] {
            let mut connection = router.client().open(&head).await;
            connection.until_end().await;
        }
        assert_eq!(router.client().get("/health").await.status, 200);
        router.end().await;
    });
}

#[test]
fn a_hundred_thousand_messages_where_the_limits_allow_them() {
    bounded(async {
        let small = backend::small().await;
        let limits = "access: { limits: { messages: 200000, body_bytes: 33554432 } }";
        let router = Router::start(Configuration::one_model(&small).and(limits)).await;
        let message = json!({ "role": "user", "content": "tea" });
        let body = json!({ "model": "auto", "messages": vec![message; 100_000] });
        let answer = router.client().chat(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        router.end().await;
    });
}

/// A prompt that no check can read in a millisecond, and the longest that the default limit of a body takes.
#[test]
fn a_prompt_too_large_to_be_checked_in_time() {
    bounded(async {
        let prompt = "Call 555 123 4567 at 10:45 about chapter 7 of the book. ".repeat(160_000);
        let small = backend::small().await;
        let hurried = "on_failure: { check_timeout_ms: 1 }";
        let router = Router::start(Configuration::one_model(&small).and(hurried)).await;
        let refused = router.client().chat(&chat(&prompt)).await;
        assert_told("too large to check", &refused, 413, "request_too_large");
        let message = refused.json()["error"]["message"].to_string();
        assert!(message.contains("semantic_router.security."), "{message}");
        let text = serde_json::json!({ "text": prompt }).to_string();
        let classified = router.client().send(&post("/api/v1/classify/security", &[], text.as_bytes())).await;
        assert_told("too large to classify", &classified, 413, "request_too_large");
        assert_eq!(router.client().chat(&chat("Hi")).await.status, 200, "what is short is checked");
        assert_eq!(small.requests().len(), 1);
        let left = router.end().await;
        for name in ["pii_detection", "jailbreak_detection"] {
            let spans = left.spans(refused.trace_id());
            let name = format!("semantic_router.security.{name}");
            let span = spans.iter().find(|span| span.name == name).expect("a span of the check");
            assert_eq!(span.status, "error", "{name}");
            assert_eq!(span.get("error.type"), "timeout", "{name}");
            assert_eq!(span.get("semantic_router.on_failure"), "refuse", "{name}");
        }

        let skipping = "on_failure: { check_timeout_ms: 1, pii_detection: skip, jailbreak_detection: skip }";
        let router = Router::start(Configuration::one_model(&small).and(skipping)).await;
        assert_eq!(router.client().chat(&chat(&prompt)).await.status, 200, "the settings say skip");
        router.end().await;
    });
}

#[test]
fn a_destination_is_never_the_clients_to_choose() {
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small)).await;
        let spoofed =
            ["x-gateway-destination-endpoint: 10.0.0.1:80", "x-selected-model: gpt-99", "x-user-id: root"];
        for body in [chat("Hi"), streamed("Hi there")] {
            let answer = router.client().chat_with(&spoofed, &body).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("x-gateway-destination-endpoint"), None);
        }
        for seen in small.requests() {
            let values: Vec<_> = seen.headers.get_all("x-gateway-destination-endpoint").iter().collect();
            assert_eq!(values, ["backend-1"]);
            assert_eq!(seen.headers["x-selected-model"], "small");
            assert!(!seen.headers.contains_key("x-user-id"), "nobody vouched for the user");
        }
        router.end().await;
    });
}

#[test]
fn memory_stays_bounded_under_bad_requests() {
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small).and(TIGHT)).await;
        let process = router.process.id();
        if resident_bytes(process).is_none() {
            return;
        }
        // The first rounds fill the allocator's own stores.
        rounds(&router, 3).await;
        let before = resident_bytes(process).expect("the memory is told");
        rounds(&router, 20).await;
        let after = resident_bytes(process).expect("the memory is told");
        let grown = after.saturating_sub(before);
        assert!(grown < 24 << 20, "400 bad requests left {} MiB behind", grown >> 20);
        router.end().await;
    });
}

async fn rounds(router: &Router, count: usize) {
    for _ in 0..count {
        for (what, request, status, _) in bad_requests() {
            assert_eq!(router.client().send(&request).await.status, status, "{what}");
        }
    }
}
