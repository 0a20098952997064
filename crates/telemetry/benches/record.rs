//! What a request pays for its record: building one of nine children, and finishing it into the metrics and
//! the queues of two destinations.

#![expect(clippy::unwrap_used, reason = "a bench that cannot start should stop")]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/telemetry/common.rs"]
mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use telemetry::metrics::{Format, LegacyNames, Metrics, Names};
use telemetry::{Batch, Delivery, Destination, Exits, View, Wants, otlp, stdout};
use tokio::runtime::Runtime;
use trace::finding::Finding;
use trace::sampling::SamplingVerdict;
use trace::{ActiveRecord, Clock, Record, RecordSink, Stage};

// The allocator of the server: most of what is measured here is allocating and freeing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUTE: &str = "/v1/chat/completions";

/// Takes everything and does nothing.
struct Nowhere;

impl Destination for Nowhere {
    async fn deliver(&mut self, _: &[Arc<Record>]) -> Delivery {
        Delivery::Delivered
    }
}

fn metrics() -> Arc<Metrics> {
    let names = Names { service: "router", routes: &[ROUTE], error_types: &[] };
    let metrics = Metrics::new(&names, LegacyNames::Kept);
    metrics.learn(["llama-3.1-70b", "llama-3.1-8b"], ["math", "physics"]);
    Arc::new(metrics)
}

fn exits(destinations: usize) -> Exits {
    let mut exits = Exits::new(metrics());
    let batch = Batch { queue_records: 4096, ..Batch::EXPORT };
    for name in ["first", "second"].into_iter().take(destinations) {
        exits.add(name, Wants::Sampled, batch, Nowhere).unwrap();
    }
    exits
}

/// The findings of nine stages: what the stages make anyway, and hand over.
fn findings() -> Vec<(Stage, Finding)> {
    common::findings().into_iter().take(9).map(|(stage, _, finding)| (stage, finding)).collect()
}

fn build(findings: Vec<(Stage, Finding)>, request: trace::RequestFacts, sampled: bool) -> Record {
    let verdict = SamplingVerdict { sampled, reason: "always_on" };
    let mut record = Record::new(Clock::start(), None, verdict, request);
    for (stage, finding) in findings {
        let index = record.begin(stage);
        record.end(index, finding);
    }
    record.http_status = Some(200);
    record
}

/// Times `finish` over chunks of requests, each taken in before the next: what a request pays while the
/// destinations keep up. The first of each chunk also wakes them.
fn finish(exits: &Arc<Exits>, runtime: &Runtime, sampled: bool, iterations: u64) -> Duration {
    const CHUNK: u64 = 256;
    let sink: Arc<dyn RecordSink> = exits.clone();
    let mut total = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let count = left.min(CHUNK);
        let inputs: Vec<_> = (0..count).map(|_| (findings(), common::facts(ROUTE), sink.clone())).collect();
        let start = Instant::now();
        for (findings, request, sink) in inputs {
            ActiveRecord::new(build(findings, request, sampled), sink).finish();
        }
        total += start.elapsed();
        runtime.block_on(exits.flush(Duration::from_secs(10)));
        left -= count;
    }
    total
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.bench_function("build_nine_spans", |bencher| {
        bencher.iter_batched(
            || (findings(), common::facts(ROUTE)),
            |(findings, request)| build(findings, request, true),
            BatchSize::SmallInput,
        );
    });
    // What the findings cost without any record: the stages make them, somebody has to free them.
    group.bench_function("drop_findings", |bencher| {
        bencher.iter_batched(|| (findings(), common::facts(ROUTE)), drop, BatchSize::SmallInput);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, destinations, sampled) in
        [("unsampled", 2, false), ("sampled_one_exporter", 1, true), ("sampled_two_exporters", 2, true)]
    {
        let exits = Arc::new(exits(destinations));
        group.bench_function(format!("build_and_finish_{name}"), |bencher| {
            bencher.iter_custom(|iterations| finish(&exits, &runtime, sampled, iterations));
        });
    }
    let metrics = metrics();
    let record = common::forwarded(true);
    group.bench_function("fold_metrics", |bencher| bencher.iter(|| metrics.fold(black_box(&record))));
    group.bench_function("scrape", |bencher| bencher.iter(|| metrics.render(Format::OpenMetrics).len()));
    group.finish();

    // What the exporters' threads do for each trace, sending aside.
    let mut group = criterion.benchmark_group("export");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    let records: Vec<_> = (0..128).map(|_| Arc::new(common::forwarded(true))).collect();
    let resource = telemetry::Resource::new("router").version("1").instance("a").environment("production");
    let view = View::default();
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("otlp", |bencher| {
        bencher.iter(|| otlp::export_request(black_box(&records), &resource, view));
    });
    group.bench_function("json", |bencher| {
        bencher.iter(|| {
            let lines =
                |record: &Arc<Record>| stdout::json(record, &resource, view, stdout::Layout::Line).len();
            black_box(&records).iter().map(lines).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(record, benches);
criterion_main!(record);
