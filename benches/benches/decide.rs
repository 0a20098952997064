//! Everything that the router decides about a request, with the built-in intelligence: `cargo bench -p benches --bench decide`.
//!
//! A request is read and parsed before, and nothing is sent after: that is measured in the benches of `dialects` and by
//! the command `proxy`. The record's spans are part of it.

#![expect(clippy::unwrap_used, reason = "a bench that cannot start should stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Answers, Nowhere, PROMPT_BYTES, pipeline, policy, prompt, record, request};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use pipeline::Pipeline;
use pipeline::exchange::{AnswerHead, Exchange};
use pipeline::outcome::Outcome;
use pipeline::request::Request;
use tokio::runtime::Runtime;
use trace::ActiveRecord;

// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prompts longer than this are measured on blocking threads, for which a runtime is needed.
const RUNTIME_WORKERS: usize = 2;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_WORKERS).build().unwrap()
}

/// An answer of ordinary size.
fn answer() -> Bytes {
    Bytes::from_static(
        br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The derivative is 3x^2 + 2, since the power rule holds for each term."},"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":18,"total_tokens":42}}"#,
    )
}

/// Lets a backend answer, so that the answer is remembered.
fn remember(pipeline: &Arc<Pipeline>, request: &Request) {
    let mut record = record();
    let Some(Outcome::Forward(plan)) = pipeline.decide(request, &mut record).now_or_never() else {
        return;
    };
    let active = ActiveRecord::new(record, Arc::new(Nowhere));
    let mut exchange = Exchange::new(Arc::clone(pipeline), request.clone(), plan, active);
    exchange.attempt().unwrap();
    exchange.head(&AnswerHead { status: 200, content_type: Some("application/json".to_owned()) });
    exchange.chunk(answer());
    exchange.end();
}

fn decide(criterion: &mut Criterion) {
    let runtime = runtime();
    let _inside = runtime.enter();
    let mut group = criterion.benchmark_group("decide");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    for (name, answers) in [("no_cache", Answers::Forgotten), ("cache_miss", Answers::Remembered)] {
        let pipeline = pipeline(policy(answers));
        for length in PROMPT_BYTES {
            let request = request(&prompt(length)).unwrap();
            group.bench_with_input(BenchmarkId::new(name, length), &request, |bencher, request| {
                bencher.iter_batched(
                    record,
                    |mut record| {
                        let outcome = runtime.block_on(pipeline.decide(black_box(request), &mut record));
                        (outcome, record)
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    let pipeline = pipeline(policy(Answers::Remembered));
    for length in [200, 2_000] {
        let request = request(&prompt(length)).unwrap();
        remember(&pipeline, &request);
        group.bench_with_input(BenchmarkId::new("cache_hit", length), &request, |bencher, request| {
            bencher.iter_batched(
                record,
                |mut record| {
                    let outcome = pipeline.decide(black_box(request), &mut record).now_or_never().unwrap();
                    assert!(matches!(outcome, Outcome::Answer(_)));
                    (outcome, record)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// From the decision to the record's end, without a socket: deciding, the attempt, the answer, settling.
fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    let pipeline = pipeline(policy(Answers::Forgotten));
    let request = request(&prompt(200)).unwrap();
    group.bench_function("decide_to_end_without_sockets/200", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let start = Instant::now();
                remember(&pipeline, black_box(&request));
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

criterion_group!(benches, decide, whole);
criterion_main!(benches);
