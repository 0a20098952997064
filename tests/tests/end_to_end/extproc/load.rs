//! Many streams: at once, and one after the other until a leak would show.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tests::client::{Client, chat, post, streamed};
use tests::configuration::Configuration;
use tests::envoy::{self, Envoy, Setup};
use tests::process::resident_bytes;
use tests::router::Router;
use tests::{backend, bounded};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Bench;

#[test]
fn two_hundred_streams_at_once() {
    let Some(program) = envoy::found("extproc::load::two_hundred_streams_at_once") else { return };
    bounded(async {
        let bench = Bench::start(program, "BUFFERED", "STREAMED").await;
        let client = bench.envoy.client();
        let mut asking = JoinSet::new();
        for number in 0..200 {
            asking.spawn(async move { client.chat(&streamed(&format!("Prove number {number}"))).await });
        }
        let mut traces = std::collections::HashSet::new();
        while let Some(answer) = asking.join_next().await {
            let answer = answer.expect("no panic");
            assert_eq!((answer.status, answer.is_done()), (200, true), "{}", answer.text());
            traces.insert(answer.trace_id().to_owned());
        }
        assert_eq!(traces.len(), 200);
        let left = bench.end().await;
        let spans = tests::span::all(&left.0.stdout);
        let roots = spans.iter().filter(|span| span.name == "semantic_router.request.received");
        let whole = roots.filter(|root| root.get("semantic_router.observed") == "body");
        assert_eq!(whole.filter(|root| traces.contains(&root.trace_id)).count(), 200);
    });
}

/// Streams of every fate, one after the other: answered, streamed, refused, remembered, and left in the middle.
#[test]
fn memory_stays_flat_over_many_streams() {
    let Some(program) = envoy::found("extproc::load::memory_stays_flat_over_many_streams") else { return };
    let long = std::env::var_os("SEMANTIC_ROUTER_LONG").is_some();
    let streams: usize = if long { 100_000 } else { 5_000 };
    let limit = std::time::Duration::from_secs(if long { 3600 } else { 300 });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(limit, flat(&program, streams)).await.expect("the streams end in time");
    });
}

async fn flat(program: &Path, streams: usize) {
    let backend = backend::small().await;
    // Nothing that grows on purpose: few answers are remembered, and no trace is printed.
    let yaml = Configuration::one_model(&backend)
        .and("cache: { max_entries: 10 }")
        .yaml()
        .replace("always_on", "always_off");
    let router = Router::start(Configuration::exactly(yaml)).await;
    let envoy = Envoy::start(program, &Setup::new(router.extproc().await, "BUFFERED", "STREAMED")).await;
    let Some(_) = resident_bytes(router.process.id()) else { return };
    all(envoy.client(), 0..streams / 5).await;
    let warm = resident_bytes(router.process.id()).expect("the router runs");
    all(envoy.client(), streams / 5..streams).await;
    let after = resident_bytes(router.process.id()).expect("the router runs");
    let grown = after.saturating_sub(warm);
    // What one request holds while it is alive is some tens of kilobytes; a leak of it would be far above this.
    assert!(grown < 12 << 20, "{grown} bytes more after {streams} streams, from {warm}");
    envoy.end().await;
    router.end().await;
}

/// Sends a stream per number, some at once.
async fn all(client: Client, numbers: Range<usize>) {
    let places = Arc::new(Semaphore::new(16));
    let mut asking = JoinSet::new();
    for number in numbers {
        let place = Arc::clone(&places).acquire_owned().await.expect("the places are open");
        asking.spawn(async move {
            one(client, number).await;
            drop(place);
        });
        while let Some(ended) = asking.try_join_next() {
            ended.expect("no panic");
        }
    }
    while let Some(ended) = asking.join_next().await {
        ended.expect("no panic");
    }
}

async fn one(client: Client, number: usize) {
    // Conversations are remembered, up to a bound far above this test: the same ones come again.
    let prompt = format!("Why is tea number {} wet?", number % 500);
    let (answer, status) = match number % 5 {
        0 => (client.chat(&chat(&prompt)).await, 200),
        1 => (client.chat(&streamed(&prompt)).await, 200),
        2 => (client.chat(&chat("The same as ever")).await, 200),
        3 => (client.post("/v1/chat/completions", &[], b"{").await, 400),
        _ => {
            let request = post("/v1/chat/completions", &[], streamed(&prompt).to_string().as_bytes());
            let mut connection = client.open(&request).await;
            connection.until("data: ").await;
            connection.leave();
            return;
        }
    };
    assert_eq!(answer.status, status, "{}", answer.text());
}
