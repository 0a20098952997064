//! What the configuration's policies make of requests: blocks, continued conversations, keys and limits.

use serde_json::json;
use tests::client::{chat, post, streamed};
use tests::configuration::Configuration;
use tests::router::Router;
use tests::{backend, bounded};

/// A block may look like an answer, so that a client shows it to its user.
#[test]
fn a_block_that_is_answered_with_a_completion() {
    const POLITE: &str = "signals: [{ name: secret, keywords: { any: [bluebird] } }]\n\
        decisions: [{ name: no-secrets, when: secret, block: { answer: completion, message: \"Ask your manager.\" } }]";
    bounded(async {
        let small = backend::small().await;
        let router = Router::start(Configuration::one_model(&small).and(POLITE)).await;
        let whole = router.client().chat(&chat("What is bluebird?")).await;
        let stream = router.client().chat(&streamed("What is bluebird?")).await;
        for answer in [&whole, &stream] {
            assert_eq!((answer.status, answer.content().as_str()), (200, "Ask your manager."));
        }
        assert!(stream.is_done(), "{}", stream.text());
        assert_eq!(small.requests().len(), 0);
        router.end().await;
    });
}

/// A short follow-up stays with the model that the conversation began with.
#[test]
fn a_conversation_keeps_its_model() {
    const HARD: &str = "signals: [{ name: hard, keywords: { any: [prove] } }]\n\
        decisions: [{ name: hard-questions, when: hard, route: { models: [large] } }]";
    bounded(async {
        let (small, large) = (backend::small().await, backend::large().await);
        let router = Router::start(Configuration::two_models(&small, &large).and(HARD)).await;
        let first = router.client().chat(&chat("Prove that tea is wet")).await;
        let follow_up = json!({ "model": "auto", "messages": [
            { "role": "user", "content": "Prove that tea is wet" },
            { "role": "assistant", "content": first.content() },
            { "role": "user", "content": "Why?" },
        ] });
        let second = router.client().chat(&follow_up).await;
        assert_eq!(second.header("x-vsr-selected-model"), Some("large"), "{}", second.text());
        let left = router.end().await;
        let spans = left.spans(second.trace_id());
        let routing =
            spans.iter().find(|span| span.name == "semantic_router.routing.decision").expect("a span");
        assert_eq!(routing.get("routing.strategy"), "continued");
        insta::assert_snapshot!(left.tree(second.trace_id()));
    });
}

/// SHA-256 of `one` and `two`.
const KEYS: &str = "access: { keys: [\
    { name: one, sha256: 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed },\
    { name: two, sha256: 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3, models: [small] }] }";

#[test]
fn keys_say_who_calls_and_answers_are_not_shared_between_them() {
    bounded(async {
        let (small, large) = (backend::small().await, backend::large().await);
        let router = Router::start(Configuration::two_models(&small, &large).and(KEYS)).await;
        let client = router.client();
        let (one, two) = ("authorization: Bearer one", "authorization: Bearer two");
        let mut body = chat("Hello");
        body["model"] = "small".into();
        assert_eq!(client.chat(&body).await.error(), (401, "invalid_api_key".to_owned()));
        let first = client.chat_with(&[one], &body).await;
        let again = client.chat_with(&[one], &body).await;
        let other = client.chat_with(&[two], &body).await;
        let hits = [&first, &again, &other].map(|answer| answer.header("x-vsr-cache-hit"));
        assert_eq!(hits, [None, Some("true"), None], "an answer belongs to the key that asked");
        body["model"] = "large".into();
        assert_eq!(client.chat_with(&[two], &body).await.error(), (403, "model_not_allowed".to_owned()));
        let left = router.end().await;
        assert_eq!(left.spans(first.trace_id())[0].get("user.id"), "one");
        assert!(!left.0.stdout.contains("Bearer"), "a key is in a trace");
    });
}

#[test]
fn a_full_router_says_when_to_come_back() {
    bounded(async {
        let endless = backend::faulty("small", &["never-ends@prompt=endless"]).await;
        let limits = "access: { limits: { in_flight: 1 } }";
        let router = Router::start(Configuration::one_model(&endless).and(limits)).await;
        let request = post("/v1/chat/completions", &[], streamed("endless").to_string().as_bytes());
        let mut first = router.client().open(&request).await;
        first.until("chat.completion.chunk").await;
        let second = router.client().chat(&chat("Hello")).await;
        assert_eq!(second.error(), (429, "over_capacity".to_owned()));
        assert!(second.header("retry-after").is_some(), "{second:?}");
        assert_eq!(router.client().get("/health").await.status, 200, "probes are answered when it is full");
        first.leave();
        backend::ended(&endless, 1).await;
        let left = router.end().await;
        assert_eq!(left.spans(second.trace_id())[0].get("http.response.status_code"), 429);
    });
}
