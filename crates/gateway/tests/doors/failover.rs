//! Attempts that fail, and what follows.

use std::time::Duration;

use http::StatusCode;
use trace::{EventKind, SpanStatus, Stage};

use crate::ports::names;
use crate::support::{Router, Setup, backend, endpoint, model, nowhere, policy, policy_of, stream};

/// For math the large model is asked first, and the small one when that fails.
const MATH: &str = "What is the derivative of x^3?";

#[tokio::test]
async fn a_503_sends_the_request_to_the_next_model() {
    let (small, large) = (backend("small", &[]).await, backend("large", &["status=503"]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.chat(MATH).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json()["choices"][0]["message"]["content"].as_str().unwrap().starts_with("small says"));
    assert_eq!((large.requests().len(), small.requests().len()), (1, 1));
    let record = router.kept.one().await;
    assert!(record.fault.is_none(), "a request that succeeded has no fault");
    let attempts: Vec<_> =
        record.spans().iter().filter(|span| span.stage == Stage::UpstreamRequest).collect();
    assert_eq!(attempts.len(), 2);
    assert!(matches!(&attempts[0].status, SpanStatus::Error { kind, .. } if kind == "503"));
    assert!(attempts[0].events.iter().any(|event| matches!(event.kind, EventKind::UpstreamRetry { .. })));
    assert_eq!(attempts[1].status, SpanStatus::Unset);
    // Another attempt is another place in the trace.
    let parents: Vec<_> =
        [&large, &small].map(|seen| seen.requests()[0].headers["traceparent"].clone()).into();
    assert_ne!(parents[0], parents[1]);
}

#[tokio::test]
async fn when_every_attempt_fails_the_last_answer_passes_through() {
    let (small, large) = (backend("small", &["status=503"]).await, backend("large", &["status=503"]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.chat(MATH).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.json()["error"].is_object());
    let record = router.kept.one().await;
    assert_eq!(record.http_status, Some(503));
    assert_eq!(names(&record).iter().filter(|name| **name == "upstream.request").count(), 2);
}

#[tokio::test]
async fn a_reset_before_the_head_sends_the_request_elsewhere() {
    for fault in ["reset", "html"] {
        let (small, large) = (backend("small", &[]).await, backend("large", &[fault]).await);
        let router = Router::of(&small, &large).await;
        let answer = router.chat(MATH).await;
        assert_eq!(answer.status, StatusCode::OK, "{fault}");
        assert_eq!(small.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_byte_is_answered_by_another() {
    let (small, large) = (backend("small", &[]).await, backend("large", &["cut-after=0"]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.post("/v1/chat/completions", &stream(MATH)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.ends_with(b"data: [DONE]\n\n"), "{:?}", answer.body);
    assert_eq!(small.requests().len(), 1);
}

#[tokio::test]
async fn a_page_instead_of_an_answer_is_upstream_invalid() {
    let page = backend("page", &["html"]).await;
    let setup =
        Setup::new(policy_of(vec![model("small", "general", vec![endpoint("page", page.address())])]));
    let router = setup.start().await;
    let answer = router.chat("a haiku").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_GATEWAY, "upstream_invalid"));
    assert!(!answer.header("x-trace-id").is_empty());
    let record = router.kept.one().await;
    assert_eq!(record.fault.unwrap().kind, "upstream_invalid");
}

#[tokio::test]
async fn nobody_there_is_upstream_unreachable() {
    let router = Setup::new(policy(nowhere().await, nowhere().await)).start().await;
    let answer = router.chat("a haiku").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_GATEWAY, "upstream_unreachable"));
    let record = router.kept.one().await;
    assert_eq!(record.http_status, Some(502));
    assert!(matches!(record.status(), SpanStatus::Error { .. }));
}

#[tokio::test]
async fn a_backend_that_never_answers_is_upstream_timeout() {
    let silent = backend("silent", &["stall-before-head"]).await;
    let mut impatient = endpoint("silent", silent.address());
    impatient.timeouts.first_token = Duration::from_millis(200);
    let router = Setup::new(policy_of(vec![model("small", "general", vec![impatient])])).start().await;
    let answer = router.chat("a haiku").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"));
    assert!(silent.wait_for_ended(1, Duration::from_secs(20)).await, "the backend's work is cancelled");
    assert_eq!(router.kept.one().await.fault.unwrap().kind, "upstream_timeout");
}

#[tokio::test]
async fn without_models_nobody_can_answer() {
    let router = Setup::new(policy_of(Vec::new())).start().await;
    let answer = router.chat("a haiku").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "no_backend"));
    assert_eq!(answer.header("retry-after"), "1");
}
