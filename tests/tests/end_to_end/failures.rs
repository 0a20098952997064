//! Backends that fail and clients that leave: the trees that they make, and what the client gets.

use serde_json::Value;
use simulator::Script;
use tests::backend::{self, faulty};
use tests::bounded;
use tests::client::{Answer, chat, post, streamed};
use tests::configuration::{Configuration, model};
use tests::router::{Left, Router};
use tests::span::Span;

/// Timeouts short enough to be waited for.
const IMPATIENT: &str = "upstream: { timeouts: { first_token_ms: 400, idle_ms: 400 } }";

/// One model on a backend with these faults; the answer, and what the router left.
async fn struck(faults: &[&str], body: &Value) -> (Answer, Left) {
    struck_with("", faults, body).await
}

/// The same with further settings.
async fn struck_with(settings: &str, faults: &[&str], body: &Value) -> (Answer, Left) {
    let backend = faulty("small", faults).await;
    let router = Router::start(Configuration::one_model(&backend).and(settings)).await;
    let answer = router.client().chat(body).await;
    (answer, router.end().await)
}

fn upstream(spans: &[Span]) -> &Span {
    spans.iter().find(|span| span.name == "semantic_router.upstream.request").expect("an upstream span")
}

/// A fault that came after 200: the client gets an error frame and no `[DONE]`.
fn assert_broken(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 200);
    assert!(answer.complete && !answer.is_done(), "{}", answer.text());
    let events = answer.events();
    assert_eq!(events.last().expect("an event")["error"]["code"], code, "{}", answer.text());
}

/// Two models, of which the better one is busy.
#[test]
fn a_busy_backend_hands_over_to_the_next() {
    bounded(async {
        let (busy, well) = (faulty("large", &["status=503"]).await, backend::small().await);
        let best_first = "decisions: [{ name: best-first, route: { models: [{ model: large, score: 0.9 }, { model: small, \
                          score: 0.5 }] } }]";
        let router = Router::start(Configuration::two_models(&well, &busy).and(best_first)).await;
        let answer = router.client().chat(&chat("Hello")).await;
        assert_eq!(
            (answer.status, answer.json()["model"].as_str()),
            (200, Some("small")),
            "{}",
            answer.text()
        );
        let left = router.end().await;
        let spans = left.spans(answer.trace_id());
        assert_eq!(statuses(&spans), [503, 200]);
        assert_eq!(upstream(&spans).status, "error");
        assert_eq!(spans[0].status, "unset", "a retry that succeeded is no fault of the request");
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

/// Two endpoints of one model: whichever is asked first fails, and the other one is asked then.
#[test]
fn a_request_moves_to_another_endpoint_of_its_model() {
    bounded(async {
        let backend = faulty("small", &["status=503@first=1"]).await;
        let models = model("small", "", &[("one", &backend), ("two", &backend)]);
        let router = Router::start(Configuration::new(&format!("models:\n  - {models}\n"))).await;
        let answer = router.client().chat(&chat("Hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let left = router.end().await;
        let spans = left.spans(answer.trace_id());
        assert_eq!(statuses(&spans), [503, 200]);
        let mut endpoints: Vec<&Value> = attempts(&spans).map(|span| span.get("endpoint.name")).collect();
        endpoints.sort_by_key(ToString::to_string);
        assert_eq!(endpoints, ["one", "two"]);
    });
}

fn attempts(spans: &[Span]) -> impl Iterator<Item = &Span> {
    spans.iter().filter(|span| span.name == "semantic_router.upstream.request")
}

fn statuses(spans: &[Span]) -> Vec<&Value> {
    attempts(spans).map(|span| span.get("http.response.status_code")).collect()
}

#[test]
fn no_backend_is_there() {
    bounded(async {
        let gone = backend::small().await;
        let configuration = Configuration::one_model(&gone);
        gone.shutdown().await;
        let router = Router::start(configuration).await;
        let answer = router.client().chat(&chat("Hello")).await;
        assert_eq!(answer.error(), (502, "upstream_unreachable".to_owned()));
        let left = router.end().await;
        assert_eq!(left.spans(answer.trace_id())[0].status, "error");
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

#[test]
fn every_backend_is_busy() {
    bounded(async {
        let (answer, left) = struck(&["status=503,retry-after=2"], &chat("Hello")).await;
        // A backend's own error passes through.
        assert_eq!(answer.error(), (503, "simulated_fault".to_owned()));
        assert_eq!(left.spans(answer.trace_id())[0].status, "error");
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

#[test]
fn a_stream_that_is_cut() {
    bounded(async {
        let (answer, left) = struck(&["cut-after=3"], &streamed("Hello")).await;
        assert_broken(&answer, "upstream_unreachable");
        let spans = left.spans(answer.trace_id());
        assert_eq!((spans[0].status.as_str(), upstream(&spans).status.as_str()), ("error", "error"));
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

#[test]
fn a_stream_that_stalls() {
    bounded(async {
        let (answer, left) = struck_with(IMPATIENT, &["stall-after=3"], &streamed("Hello")).await;
        assert_broken(&answer, "upstream_timeout");
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

#[test]
fn a_stream_that_ends_in_half_a_frame() {
    bounded(async {
        let (answer, left) = struck(&["half-frame"], &streamed("Hello")).await;
        assert_broken(&answer, "upstream_invalid");
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

#[test]
fn a_backend_that_answers_with_a_web_page() {
    bounded(async {
        let (answer, left) = struck(&["html"], &chat("Hello")).await;
        assert_eq!(answer.error(), (502, "upstream_invalid".to_owned()));
        assert!(!answer.text().contains("<html>"), "{}", answer.text());
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

#[test]
fn a_backend_that_resets() {
    bounded(async {
        let (answer, left) = struck(&["reset"], &chat("Hello")).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert_eq!(left.spans(answer.trace_id())[0].status, "error");
    });
}

#[test]
fn a_backend_that_never_answers() {
    bounded(async {
        let (answer, left) = struck_with(IMPATIENT, &["stall-before-head"], &chat("Hello")).await;
        assert_eq!(answer.error(), (504, "upstream_timeout".to_owned()));
        insta::assert_snapshot!(left.tree(answer.trace_id()));
    });
}

/// A client that leaves cancels the backend's work, and the trace says so without calling it an error.
#[test]
fn a_client_that_leaves_in_the_middle() {
    bounded(async {
        let endless = faulty("small", &["never-ends"]).await;
        let router = Router::start(Configuration::one_model(&endless)).await;
        let request = post("/v1/chat/completions", &[], streamed("Hello").to_string().as_bytes());
        let mut connection = router.client().open(&request).await;
        connection.until("\"content\":\"This\"").await;
        connection.leave();
        backend::ended(&endless, 1).await;
        assert!(matches!(endless.requests()[0].outcome, simulator::Outcome::ClientLeft { .. }));
        let left = router.end().await;
        let spans = tests::span::all(&left.0.stdout);
        assert_eq!((spans[0].status.as_str(), upstream(&spans).status.as_str()), ("unset", "unset"));
        let disconnected = |span: &Span| span.events.iter().any(|(name, ..)| name == "client.disconnected");
        assert!(spans.iter().any(disconnected), "{spans:?}");
        let bytes = regex::Regex::new(r"\d+ bytes").expect("a pattern");
        insta::assert_snapshot!(bytes.replace_all(&left.tree(&spans[0].trace_id), "_ bytes"));
    });
}

/// Of forwarded requests, the stages account for the time from the last byte of the request to the last of the answer.
/// The median counts: on a machine under load, a thread that waits for its turn is in no stage.
#[test]
fn children_cover_the_root() {
    bounded(async {
        let paced = backend::script("small", &[]);
        let paced = Script { first_token_ms: 60, tokens_per_second: 200.0, output_tokens: Some(20), ..paced };
        let backend = backend::scripted(paced).await;
        let router = Router::start(Configuration::one_model(&backend)).await;
        let mut traces = Vec::new();
        for number in 0..7 {
            let prompt = format!("Why is tea number {number} wet?");
            let body = if number % 2 == 0 { chat(&prompt) } else { streamed(&prompt) };
            traces.push(router.client().chat(&body).await.trace_id().to_owned());
        }
        let left = router.end().await;
        let mut shares: Vec<f64> = traces.iter().map(|trace| covered_share(&left.spans(trace))).collect();
        shares.sort_by(f64::total_cmp);
        assert!(shares[3] >= 0.95, "children cover these shares of their roots: {shares:?}");
    });
}

/// How much of the root, once the request had been read, its children account for.
fn covered_share(spans: &[Span]) -> f64 {
    let read_ms = spans[0].get("request.read_ms").as_f64().expect("a time");
    let (start, end) = (spans[0].start_ns + (read_ms * 1e6) as u64, spans[0].end_ns());
    covered_ns(&spans[1..], start, end) as f64 / (end - start) as f64
}

/// The length of the union of spans between two times.
fn covered_ns(spans: &[Span], from: u64, to: u64) -> u64 {
    let mut stretches: Vec<(u64, u64)> =
        spans.iter().map(|span| (span.start_ns.max(from), span.end_ns().min(to))).collect();
    stretches.sort_unstable();
    let mut end = from;
    let mut covered = 0;
    for (start, stop) in stretches {
        covered += stop.saturating_sub(start.max(end));
        end = end.max(stop);
    }
    covered
}
