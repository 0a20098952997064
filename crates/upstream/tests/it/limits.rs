//! Waits that are too long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pipeline::exchange::UpstreamFaultKind;
use pipeline::policy::Endpoint;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::support::{
    Backend, CHUNKED_HEAD, call, chunk, client, closed_by_peer, endpoint, endpoint_of, fault_of,
    read_request, within_patience,
};

const SHORT: Duration = Duration::from_millis(60);

/// A backend that reads the request, writes `answer`, and then nothing more.
async fn stalling_after(answer: String) -> Backend {
    Backend::start(move |mut stream| {
        let answer = answer.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            closed_by_peer(&mut stream).await;
        }
    })
    .await
}

/// The fault of a call with limits as `limit` sets them, and that it took at least as long as the short one.
async fn fault_with(endpoint: Endpoint, limit: impl Fn(&mut Endpoint)) -> UpstreamFaultKind {
    let mut endpoint = endpoint;
    limit(&mut endpoint);
    let start = Instant::now();
    let (kind, description) = fault_of(&client(), call(endpoint)).await;
    assert!(start.elapsed() >= SHORT);
    assert!(description.contains("60 ms"), "{description}");
    kind
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_connect_timeout() {
    let backend = Backend::start(|mut stream| async move { closed_by_peer(&mut stream).await }).await;
    let silent = endpoint("https", "127.0.0.1", backend.address.port());
    let kind = fault_with(silent, |endpoint| endpoint.timeouts.connect = SHORT).await;
    assert_eq!(kind, UpstreamFaultKind::ConnectTimeout);
}

#[tokio::test]
async fn no_head_in_time_is_a_first_token_timeout() {
    let backend = stalling_after(String::new()).await;
    let kind = fault_with(endpoint_of(&backend), |endpoint| endpoint.timeouts.first_token = SHORT).await;
    assert_eq!(kind, UpstreamFaultKind::FirstTokenTimeout);
}

#[tokio::test]
async fn a_head_without_a_byte_of_the_body_is_a_first_token_timeout() {
    let backend = stalling_after(CHUNKED_HEAD.to_owned()).await;
    let kind = fault_with(endpoint_of(&backend), |endpoint| endpoint.timeouts.first_token = SHORT).await;
    assert_eq!(kind, UpstreamFaultKind::FirstTokenTimeout);
}

#[tokio::test]
async fn a_pause_between_chunks_is_an_idle_timeout() {
    let backend = stalling_after([CHUNKED_HEAD, &chunk("data: {}\n\n")].concat()).await;
    let kind = fault_with(endpoint_of(&backend), |endpoint| endpoint.timeouts.idle = SHORT).await;
    assert_eq!(kind, UpstreamFaultKind::IdleTimeout);
}

#[tokio::test]
async fn a_stream_that_never_ends_is_a_total_timeout() {
    let backend = Backend::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(CHUNKED_HEAD.as_bytes()).await.unwrap();
        let flood = chunk(&"x".repeat(32 * 1024));
        while stream.write_all(flood.as_bytes()).await.is_ok() {}
    })
    .await;
    let kind = fault_with(endpoint_of(&backend), |endpoint| endpoint.timeouts.total = SHORT).await;
    assert_eq!(kind, UpstreamFaultKind::TotalTimeout);
}

#[tokio::test]
async fn a_request_that_is_due_already_is_not_sent() {
    let backend = stalling_after(String::new()).await;
    let mut late = call(endpoint_of(&backend));
    late.deadline = Instant::now();
    assert_eq!(fault_of(&client(), late).await.0, UpstreamFaultKind::TotalTimeout);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_slow_reader_is_not_held_against_the_backend() {
    const IDLE: Duration = Duration::from_millis(500);
    let go_on = Arc::new(Notify::new());
    let told = Arc::clone(&go_on);
    let backend = Backend::start(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all([CHUNKED_HEAD, &chunk("one")].concat().as_bytes()).await.unwrap();
            told.notified().await;
            stream.write_all([chunk("two"), chunk("")].concat().as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut endpoint = endpoint_of(&backend);
    endpoint.timeouts.idle = IDLE;
    endpoint.timeouts.first_token = IDLE;
    let mut answer = client().send(call(endpoint)).await.unwrap();
    assert_eq!(within_patience(answer.body.next()).await.unwrap().unwrap(), "one");
    tokio::time::sleep(IDLE + SHORT).await;
    go_on.notify_one();
    assert_eq!(within_patience(answer.body.next()).await.unwrap().unwrap(), "two");
    assert_eq!(within_patience(answer.body.next()).await, None);
}
