//! Every way in which the simulated backend can misbehave: the client gets an answer or an error in time, the trace says what
//! happened, and the router goes on.

use simulator::Script;
use tests::backend;
use tests::bounded;
use tests::client::{Answer, chat, streamed};
use tests::configuration::Configuration;
use tests::router::Router;

/// What a client sees of a misbehaving backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// An answer that is whole, or a backend's own words passed on.
    Answer,
    /// An error of the router's, with this status and code.
    Error(u16, &'static str),
    /// A stream that ends with an error frame of this code, and without `[DONE]`.
    Broken(&'static str),
    /// A body that is visibly not whole.
    CutOff,
}

/// What was seen, by the answer alone.
fn seen(answer: &Answer) -> Seen {
    let code = |code: &str| -> &'static str {
        let known = ["upstream_unreachable", "upstream_invalid", "upstream_timeout", "no_backend"];
        known.into_iter().find(|known| *known == code).unwrap_or("another")
    };
    if answer.status != 200 {
        let (status, word) = answer.error();
        return Seen::Error(status, code(&word));
    }
    if !answer.complete {
        return Seen::CutOff;
    }
    let is_stream = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
    if is_stream && !answer.is_done() {
        let last =
            answer.text().lines().rfind(|line| line.starts_with("data:")).unwrap_or_default().to_owned();
        let last: serde_json::Value = serde_json::from_str(&last["data:".len()..]).unwrap_or_default();
        return Seen::Broken(code(last["error"]["code"].as_str().unwrap_or_default()));
    }
    Seen::Answer
}

const UNREACHABLE: &str = "upstream_unreachable";
const TIMEOUT: &str = "upstream_timeout";

/// Each fault, what it is for an answer as JSON, and for a stream.
const FAULTS: [(&str, Seen, Seen); 13] = [
    ("status=500", Seen::Error(500, "another"), Seen::Error(500, "another")),
    ("reset", Seen::Error(502, UNREACHABLE), Seen::Error(502, UNREACHABLE)),
    ("reset-after=2", Seen::CutOff, Seen::Broken(UNREACHABLE)),
    ("stall-before-head", Seen::Error(504, TIMEOUT), Seen::Error(504, TIMEOUT)),
    ("slow-head=50", Seen::Answer, Seen::Answer),
    ("stall-after=2", Seen::CutOff, Seen::Broken(TIMEOUT)),
    ("cut-after=2", Seen::CutOff, Seen::Broken(UNREACHABLE)),
    // The backend's own error frame is passed on, and none of ours is added.
    ("error-after=2", Seen::CutOff, Seen::Broken("another")),
    ("half-frame", Seen::Answer, Seen::Broken("upstream_invalid")),
    ("html", Seen::Error(502, "upstream_invalid"), Seen::Error(502, "upstream_invalid")),
    ("never-ends", Seen::CutOff, Seen::Broken(TIMEOUT)),
    ("huge-line=3000000", Seen::Answer, Seen::Answer),
    ("byte-by-byte", Seen::Answer, Seen::Answer),
];

#[test]
fn every_fault_ends_the_request_in_time_and_truthfully() {
    bounded(async {
        // Pieces of 64 bytes: a JSON answer must have several.
        let backend =
            backend::scripted(Script { output_tokens: Some(40), ..backend::script("small", &[]) }).await;
        let patience = "upstream: { timeouts: { first_token_ms: 1500, idle_ms: 1500, total_ms: 5000 }, \
                        ejection: { after_failures: 1000 } }\ncache: { enabled: false }";
        let mut router = Router::start(Configuration::one_model(&backend).and(patience)).await;
        let client = router.client();
        let mut asking = tokio::task::JoinSet::new();
        for (fault, json, stream) in FAULTS {
            for (body, expected) in [(chat("Hello"), json), (streamed("Hello"), stream)] {
                let header = format!("x-simulate-fault: {fault}");
                asking.spawn(async move { (fault, expected, client.chat_with(&[&header], &body).await) });
            }
        }
        let mut wrong = Vec::new();
        let mut traces = Vec::new();
        for (fault, expected, answer) in asking.join_all().await {
            if seen(&answer) != expected {
                wrong.push(format!("{fault}, {expected:?} expected, {:?} seen", seen(&answer)));
            }
            traces.push((fault, expected, answer.trace_id().to_owned()));
        }
        assert!(router.process.is_running());
        let after = router.client().chat(&chat("Hello")).await;
        assert_eq!(after.status, 200, "it serves on: {}", after.text());
        let left = router.end().await;
        for (fault, expected, trace) in traces {
            let root = &left.spans(&trace)[0];
            // Half a JSON answer is passed on as it came; only the upstream span says so.
            let status = if expected == Seen::Answer { "unset" } else { "error" };
            if root.status != status {
                wrong.push(format!(
                    "{fault}, {expected:?}: the root is {}: {}",
                    root.status, root.description
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
