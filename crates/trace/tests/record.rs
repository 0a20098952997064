//! A record ends exactly once, and truthfully, whatever ends it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trace::finding::{CacheStore, Finding};
use trace::sampling::{SamplingVerdict, UnsampledParent};
use trace::{
    ActiveRecord, Clock, Door, EventKind, Observed, Record, RecordSink, RequestFacts, SpanStatus, Stage,
    Text, Timed,
};

#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl RecordSink for Kept {
    fn finished(&self, record: Box<Record>) {
        self.0.lock().unwrap().push(*record);
    }
}

impl Kept {
    fn only(&self) -> Record {
        let mut kept = self.0.lock().unwrap();
        assert_eq!(kept.len(), 1, "a record must be handed over exactly once");
        kept.remove(0)
    }
}

fn facts() -> RequestFacts {
    RequestFacts {
        id: Text::trusted("r"),
        door: Door::Http,
        method: "POST".into(),
        path: Text::trusted("/v1/chat/completions"),
        route: "/v1/chat/completions",
        scheme: "http",
        user_id: None,
        session_id: None,
        conversation_id: None,
        original_model: None,
        stream: false,
        config_version: Arc::from("1"),
        observed: Observed::Body,
        custom: Vec::new(),
    }
}

fn record() -> Record {
    let verdict = SamplingVerdict { sampled: true, reason: "always_on" };
    Record::new(Clock::start(), None, verdict, facts())
}

fn stored() -> Finding {
    Finding::CacheStore(CacheStore { stored: true, reason: "stored".into(), bytes: 1 })
}

#[test]
fn a_finished_record_is_whole() {
    let sink = Arc::new(Kept::default());
    let mut active = ActiveRecord::new(record(), sink.clone());
    let index = active.begin(Stage::CacheStore);
    active.end(index, stored());
    active.finish();
    let record = sink.only();
    assert_eq!(record.status(), SpanStatus::Unset);
    assert!(record.events.is_empty());
    let span = &record.spans()[0];
    assert!(!span.cancelled && span.end_ns.unwrap() <= record.duration_ns);
}

#[test]
fn a_dropped_record_says_that_the_client_went() {
    let sink = Arc::new(Kept::default());
    let mut active = ActiveRecord::new(record(), sink.clone());
    let closed = active.begin(Stage::CacheStore);
    active.end(closed, stored());
    active.begin(Stage::UpstreamRequest);
    drop(active);
    let record = sink.only();
    assert_eq!(record.status(), SpanStatus::Unset, "a caller's cancellation is no fault");
    assert_eq!(record.events[0].kind, EventKind::ClientDisconnected);
    let [closed, open] = record.spans() else { panic!("two spans") };
    assert!(!closed.cancelled && closed.events.is_empty());
    assert!(open.cancelled && open.end_ns.is_some());
    assert_eq!(open.events[0].kind, EventKind::ClientDisconnected);
}

#[test]
fn a_panic_is_a_fault() {
    let sink = Arc::new(Kept::default());
    let active = ActiveRecord::new(record(), sink.clone());
    let task = std::thread::spawn(move || {
        let _active = active;
        panic!("a bug of a stage");
    });
    assert!(task.join().is_err());
    let record = sink.only();
    assert_eq!(record.fault.as_ref().unwrap().kind, "panic");
    assert!(matches!(record.events[0].kind, EventKind::Exception { .. }));
}

#[test]
fn the_first_fault_stays() {
    let mut record = record();
    record.fail("first", Text::trusted("one"));
    record.fail("second", Text::trusted("two"));
    assert_eq!(record.fault.as_ref().unwrap().kind, "first");
    assert_eq!(record.events.len(), 2);
}

#[test]
fn stages_measured_side_by_side_keep_their_own_times() {
    let mut record = record();
    let start = record.clock.monotonic();
    let at = |ms| start + Duration::from_millis(ms);
    let timed = |from, to| Timed { value: Finding::Pending, started: at(from), ended: at(to) };
    record.add(Stage::Classification, timed(1, 9));
    record.add(Stage::PiiDetection, timed(2, 4));
    // An interval that ends before it starts, or started before the request, has no negative length.
    record.add(Stage::JailbreakDetection, timed(5, 3));
    let early = start.checked_sub(Duration::from_secs(1)).unwrap_or(start);
    record.add(Stage::CacheLookup, Timed { value: Finding::Pending, started: early, ended: early });
    let times: Vec<(u64, u64)> = record
        .spans()
        .iter()
        .map(|span| (span.start_ns / 1_000_000, span.duration_ns() / 1_000_000))
        .collect();
    assert_eq!(times, [(1, 8), (2, 2), (5, 0), (0, 0)]);
}

#[test]
fn the_routers_own_time_leaves_out_everybody_elses() {
    let mut record = record();
    let start = record.clock.monotonic();
    let timed = |from, to| Timed {
        value: Finding::Pending,
        started: start + Duration::from_millis(from),
        ended: start + Duration::from_millis(to),
    };
    record.add(Stage::UpstreamRequest, timed(2, 5));
    record.add(Stage::UpstreamRequest, timed(5, 15));
    record.read_ns = 1_000_000;
    record.client_wait_ns = 2_000_000;
    record.duration_ns = 20_000_000;
    assert_eq!(record.upstream_ns(), 13_000_000);
    assert_eq!(record.router_ns(), 4_000_000);
    record.duration_ns = 1;
    assert_eq!(record.router_ns(), 0);
}

#[test]
fn children_travel_on_under_their_own_span() {
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let parent =
        trace::propagation::TraceContext::extract([header.as_bytes()], [b"vendor=value".as_slice()]).unwrap();
    let verdict =
        trace::sampling::Sampler::AlwaysOn.decide(parent.trace_id, Some(&parent), UnsampledParent::Respect);
    let mut record = Record::new(Clock::start(), Some(parent.clone()), verdict, facts());
    let index = record.begin(Stage::UpstreamRequest);
    let context = record.send_under(index).unwrap();
    assert_eq!(context.trace_id, parent.trace_id);
    assert_eq!(context.span_id, record.spans()[0].id);
    assert_ne!(context.span_id, parent.span_id);
    assert_eq!(context.state.header(), Some("vendor=value"));
    // The caller's id is not known to be random, so the bit stays as it came.
    assert_eq!(context.flags.byte(), 0x01);
    assert_eq!(record.root_context().span_id, record.root_id);
}

#[test]
fn events_are_bounded() {
    let mut record = record();
    for _ in 0..2 * trace::MAX_EVENTS {
        record.push_event(EventKind::FirstToken);
    }
    assert_eq!(record.events.len(), trace::MAX_EVENTS);
    assert!(record.clock.at(Instant::now()) >= record.events[0].at_ns);
}
