//! Streams: each chunk as it comes, a proper end, and what happens when one side goes away.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use simulator::Outcome;
use trace::finding::Finding;
use trace::{EventKind, SpanStatus, Stage};

use crate::ports::names;
use crate::support::{Router, Setup, backend, events, policy, said, saying, stream};

/// Reads until the text has come; fails when the stream ends before.
async fn read_until(body: &mut hyper::body::Incoming, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.expect("more comes");
        let data = frame.expect("the stream has not ended").unwrap().into_data().unwrap();
        all.push_str(std::str::from_utf8(&data).unwrap());
    }
    all
}

#[tokio::test]
async fn a_stream_comes_whole_and_without_the_usage_chunk_that_nobody_asked_for() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.post("/v1/chat/completions", &stream("a haiku")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").starts_with("text/event-stream"));
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    assert!(!answer.headers.contains_key("content-length"));
    let events = events(&answer.body);
    assert_eq!(said(&events), "small says: a b c d e f g");
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    assert!(!events.iter().any(|event| event.contains("prompt_tokens")), "{events:?}");
    let sent = String::from_utf8(small.requests()[0].body.to_vec()).unwrap();
    assert!(sent.contains("include_usage"), "{sent}");
    let record = router.kept.one().await;
    assert!(record.request.stream && record.events.is_empty());
    assert_eq!(names(&record).last(), Some(&"cache.store"));
    let upstream = record.spans().iter().find(|span| span.stage == Stage::UpstreamRequest).unwrap();
    assert!(upstream.events.iter().any(|event| event.kind == EventKind::FirstToken));
    assert!(!upstream.cancelled);
}

#[tokio::test]
async fn chunks_reach_the_client_while_the_backend_holds_the_rest_and_leaving_cancels_it() {
    let (small, large) = (backend("small", &["stall-after=3"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let request = router.request(Method::POST, "/v1/chat/completions", stream("a haiku").to_string());
    let mut response = router.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    // The backend sends nothing after its third chunk, so that what comes now did not wait for more.
    let text = read_until(response.body_mut(), "says").await;
    assert!(!text.contains("[DONE]"));
    let listed = router.in_flight.list();
    assert_eq!((listed.len(), listed[0].route), (1, "/v1/chat/completions"));
    assert!(listed[0].bytes_out > 0);
    drop(response);
    assert!(small.wait_for_ended(1, Duration::from_secs(20)).await);
    assert!(matches!(small.requests()[0].outcome, Outcome::ClientLeft { .. }));
    let record = router.kept.one().await;
    assert!(record.fault.is_none());
    assert!(record.events.iter().any(|event| event.kind == EventKind::ClientDisconnected));
    let upstream = record.spans().iter().find(|span| span.stage == Stage::UpstreamRequest).unwrap();
    assert!(upstream.cancelled);
    router.in_flight.drained().await;
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_with_an_error_frame_and_without_done() {
    let (small, large) = (backend("small", &["cut-after=3"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.post("/v1/chat/completions", &stream("a haiku")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let events = events(&answer.body);
    assert!(events.last().unwrap().contains("upstream_unreachable"), "{events:?}");
    assert!(!events.iter().any(|event| event == "[DONE]"));
    let record = router.kept.one().await;
    assert!(matches!(record.status(), SpanStatus::Error { kind, .. } if kind == "upstream_unreachable"));
    assert_eq!(record.http_status, Some(200));
    assert!(!names(&record).contains(&"cache.store"));
}

#[tokio::test]
async fn a_stream_that_ends_cleanly_in_the_middle_is_broken_too() {
    let (small, large) = (backend("small", &["half-frame"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.post("/v1/chat/completions", &stream("a haiku")).await;
    let events = events(&answer.body);
    assert!(events.last().unwrap().contains("\"error\""), "{events:?}");
    assert!(router.kept.one().await.fault.is_some());
}

#[tokio::test]
async fn a_stalled_stream_ends_with_a_timeout() {
    let (small, large) = (backend("small", &["stall-after=3"]).await, backend("large", &[]).await);
    let mut policy = policy(small.address(), large.address());
    let mut impatient = crate::support::endpoint("small-1", small.address());
    impatient.timeouts.idle = Duration::from_millis(200);
    policy.models[0] = crate::support::model("small", "general", vec![impatient]);
    let router = Setup::new(policy).start().await;
    let answer = router.post("/v1/chat/completions", &stream("a haiku")).await;
    let events = events(&answer.body);
    assert!(events.last().unwrap().contains("upstream_timeout"), "{events:?}");
    let record = router.kept.one().await;
    assert_eq!(record.fault.unwrap().kind, "upstream_timeout");
}

#[tokio::test]
async fn an_answer_that_is_not_a_stream_and_breaks_off_is_seen_as_broken() {
    let (small, large) = (backend("small", &["cut-after=1"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let request =
        router.request(Method::POST, "/v1/chat/completions", crate::support::chat("a haiku").to_string());
    let response = router.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err(), "the transfer must not look complete");
    assert!(router.kept.one().await.fault.is_some());
}

#[tokio::test]
async fn on_shutdown_answers_in_progress_may_end_and_endless_ones_are_cut() {
    let small = backend("small", &["stall-after=3"]).await;
    let large = backend("large", &["slow-head=300"]).await;
    let mut setup = Setup::new(policy(small.address(), large.address()));
    setup.limits.drain = Duration::from_millis(1500);
    let mut router = setup.start().await;
    let endless = router.request(Method::POST, "/v1/chat/completions", stream("a haiku").to_string());
    let mut endless = router.send(endless).await;
    read_until(endless.body_mut(), "says").await;
    let stop = router.stopper();
    let (slow, ()) = tokio::join!(router.chat("the derivative"), async {
        assert!(large.wait_for(1, Duration::from_secs(20)).await);
        stop.send(()).unwrap();
    });
    assert_eq!(slow.status, StatusCode::OK, "it was in progress when the door closed");
    let kept = Arc::clone(&router.kept);
    router.closed().await;
    assert!(endless.into_body().collect().await.is_err());
    let records = kept.wait_for(2).await;
    assert!(!records[0].request.stream);
    assert!(records[1].spans().iter().any(|span| span.cancelled));
}

/// A client with a small window: what it does not read, the router cannot send.
fn http2_client() -> Client<HttpConnector, Full<Bytes>> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http2_only(true).http2_initial_stream_window_size(65_535).build_http()
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_served_on_the_same_port() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let client = http2_client();
    let request = router.request(Method::POST, "/v1/chat/completions", stream("a haiku").to_string());
    let response = client.request(request).await.unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, http::Version::HTTP_2));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(events(&body).last().map(String::as_str), Some("[DONE]"));
    assert!(router.kept.one().await.events.is_empty());
}

#[tokio::test]
async fn a_client_that_takes_its_time_is_not_held_against_the_backend() {
    let long = "word ".repeat(10_000);
    let (small, large) = (saying("small", &long, &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let request = router.request(Method::POST, "/v1/chat/completions", stream("a haiku").to_string());
    let mut response = http2_client().request(request).await.unwrap();
    read_until(response.body_mut(), "word").await;
    // The wait is the thing under test, not a way to be lucky: at least this much has to be accounted for.
    tokio::time::sleep(Duration::from_millis(200)).await;
    response.into_body().collect().await.unwrap();
    let record = router.kept.one().await;
    assert!(record.client_wait_ns >= 150_000_000, "{} ns", record.client_wait_ns);
    let stalled = record.spans().iter().find_map(|span| match &span.finding {
        Finding::UpstreamRequest(finding) => Some(finding.stalled_by_client_ms),
        _ => None,
    });
    assert!(stalled.unwrap() >= 150.0, "{stalled:?} ms");
    assert!(record.router_ns() < record.duration_ns / 2);
}
