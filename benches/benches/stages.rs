//! Each stage by itself: `cargo bench -p benches --bench stages`.
//!
//! The three checks are called as the pipeline calls them. The stages that only the pipeline can call are timed by
//! their own spans, so that a figure here is what a trace shows. Benched elsewhere: parsing, editing and SSE frames in
//! `dialects`, the classifiers themselves in `inference`, choosing among endpoints in `upstream`, finishing a record in
//! `telemetry`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a bench that cannot start should stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Answers, Nowhere, PROMPT_BYTES, pipeline, policy, ports, prompt, record, request};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use pipeline::Pipeline;
use pipeline::exchange::{AnswerHead, Exchange};
use pipeline::outcome::Outcome;
use pipeline::policy::Subject;
use pipeline::request::Request;
use pipeline::signals::{self, Needs};
use trace::{ActiveRecord, Record, Stage};

// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn quick<'a>(
    criterion: &'a mut Criterion,
    name: &str,
) -> criterion::BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group
}

/// One check at a time, on the request's own thread; the longest prompt is above the limit from which the pipeline
/// uses others, and is measured here with its parts one after the other.
fn checks(criterion: &mut Criterion) {
    let ports = ports();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let nothing = Needs { domain: Vec::new(), pii: false, jailbreak: Vec::new() };
    let checks = [
        ("classification", Needs { domain: vec![Subject::LastUserMessage], ..nothing.clone() }),
        ("pii_detection", Needs { pii: true, ..nothing.clone() }),
        ("jailbreak_detection", Needs { jailbreak: vec![Subject::UserAndToolText], ..nothing }),
    ];
    for (name, needs) in &checks {
        let mut group = quick(criterion, name);
        for length in PROMPT_BYTES {
            let request = request(&prompt(length)).unwrap();
            group.bench_with_input(BenchmarkId::from_parameter(length), &request, |bencher, request| {
                bencher.iter(|| {
                    runtime.block_on(signals::measure(black_box(request), needs, &ports, Duration::MAX))
                });
            });
        }
        group.finish();
    }
}

fn decided(pipeline: &Arc<Pipeline>, request: &Request) -> (Outcome, Record) {
    let mut record = record();
    let outcome = pipeline.decide(request, &mut record).now_or_never().unwrap();
    (outcome, record)
}

fn forwarded(pipeline: &Arc<Pipeline>, request: &Request) -> Exchange {
    let (outcome, record) = decided(pipeline, request);
    let Outcome::Forward(plan) = outcome else { panic!("the bench's prompts are forwarded") };
    let active = ActiveRecord::new(record, Arc::new(Nowhere));
    Exchange::new(Arc::clone(pipeline), request.clone(), plan, active)
}

fn span_time(record: &Record, stage: Stage) -> Duration {
    let spans = record.spans().iter().filter(|span| span.stage == stage);
    Duration::from_nanos(spans.map(trace::Span::duration_ns).sum())
}

fn head(content_type: &str) -> AnswerHead {
    AnswerHead { status: 200, content_type: Some(content_type.to_owned()) }
}

/// Stages within deciding and within an attempt, by their spans.
fn spans(criterion: &mut Criterion) {
    let mut group = quick(criterion, "span");
    // A span is a small part of what an iteration takes.
    group.measurement_time(Duration::from_millis(100)).warm_up_time(Duration::from_millis(50));
    let remembering = pipeline(policy(Answers::Remembered));
    // About mathematics, so that the decision with a system prompt holds.
    let question = request("What is the derivative of x^3 + 2x^2, and what is its integral?").unwrap();
    for (name, stage) in
        [("cache_lookup/miss", Stage::CacheLookup), ("routing_decision", Stage::RoutingDecision)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations).map(|_| span_time(&decided(&remembering, &question).1, stage)).sum()
            });
        });
    }
    for (name, stage) in [
        ("backend_selection", Stage::BackendSelection),
        ("system_prompt_injection", Stage::SystemPromptInjection),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let each = (0..iterations).map(|_| {
                    let mut exchange = forwarded(&remembering, &question);
                    exchange.attempt().unwrap();
                    span_time(exchange.record().unwrap(), stage)
                });
                each.sum()
            });
        });
    }
    let mut exchange = forwarded(&remembering, &question);
    exchange.attempt().unwrap();
    exchange.head(&head("application/json"));
    exchange.chunk(answer());
    exchange.end();
    drop(exchange);
    group.bench_function("cache_lookup/hit", |bencher| {
        bencher.iter_custom(|iterations| {
            (0..iterations).map(|_| span_time(&decided(&remembering, &question).1, Stage::CacheLookup)).sum()
        });
    });
    group.finish();
}

/// An answer of ordinary size.
fn answer() -> Bytes {
    Bytes::from_static(
        br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The derivative is 3x^2 + 4x, since the power rule holds for each term."},"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":18,"total_tokens":42}}"#,
    )
}

fn chunks() -> Vec<Bytes> {
    let chunk = |number: usize| {
        Bytes::from(format!(
            r#"data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":" word{number}"}},"finish_reason":null}}]}}{}"#,
            "\n\n"
        ))
    };
    (0..CHUNKS).map(chunk).collect()
}

const CHUNKS: usize = 200;

/// Reading an answer in passing, and what follows its end: the record is completed and freed.
fn answers(criterion: &mut Criterion) {
    let mut group = quick(criterion, "response_processing");
    let pipeline = pipeline(policy(Answers::Forgotten));
    let plain = request(&prompt(200)).unwrap();
    let started = |request: &Request, kind: &str| {
        let mut exchange = forwarded(&pipeline, request);
        exchange.attempt().unwrap();
        exchange.head(&head(kind));
        exchange
    };
    group.bench_function("json_answer_and_settling", |bencher| {
        bencher.iter_batched(
            || started(&plain, "application/json"),
            |mut exchange| {
                black_box(exchange.chunk(answer()));
                exchange.end();
            },
            BatchSize::SmallInput,
        );
    });
    let mut streaming = plain.clone();
    let body =
        r#"{"model":"auto","stream":true,"messages":[{"role":"user","content":"Write a haiku about tea."}]}"#;
    streaming.parsed = dialects::request::ParsedRequest::parse(
        dialects::Dialect::ChatCompletions,
        Bytes::from_static(body.as_bytes()),
    )
    .unwrap();
    let chunks = chunks();
    group.bench_function("sse_chunk", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations.div_ceil(CHUNKS as u64) {
                let mut exchange = started(&streaming, "text/event-stream");
                let start = Instant::now();
                for chunk in &chunks {
                    black_box(exchange.chunk(chunk.clone()));
                }
                total += start.elapsed();
            }
            // Whole streams were read, which may be more chunks than were asked for.
            total.mul_f64(iterations as f64 / (iterations.div_ceil(CHUNKS as u64) * CHUNKS as u64) as f64)
        });
    });
    group.finish();
}

criterion_group!(benches, checks, spans, answers);
criterion_main!(benches);
