//! Traces that are kept although the head drops them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trace::finding::{CacheLookup, Finding, JailbreakDetection, SecurityAction};
use trace::sampling::{KeepRules, SamplingVerdict};
use trace::{ActiveRecord, Clock, Door, Record, RecordSink, RequestFacts, Stage, Text, Timed};

#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

impl RecordSink for Kept {
    fn finished(&self, record: Box<Record>) {
        self.0.lock().unwrap().push(*record);
    }
}

fn ended(rules: KeepRules, happen: impl FnOnce(&mut Record)) -> Record {
    let facts = RequestFacts::new(Text::trusted("r"), Door::Http, "POST", Text::trusted("/x"), "/x");
    let dropped = SamplingVerdict { sampled: false, reason: "probabilistic" };
    let mut record = Record::new(Clock::start(), None, dropped, facts);
    record.keep = Some(Arc::new(rules));
    let kept = Arc::new(Kept::default());
    let mut active = ActiveRecord::new(record, Arc::clone(&kept) as Arc<dyn RecordSink>);
    happen(&mut active);
    active.finish();
    let mut records = kept.0.lock().unwrap();
    records.pop().unwrap()
}

fn outcome(record: &Record) -> (bool, &'static str, bool) {
    (record.sampling.sampled, record.sampling.reason, record.sampling_partial)
}

fn lookup(record: &mut Record) {
    let now = Instant::now();
    let miss =
        CacheLookup { hit: false, similarity: None, backend: "embedded", scope: "global", age_ms: None };
    record.add(Stage::CacheLookup, Timed { value: Finding::CacheLookup(miss), started: now, ended: now });
}

fn forward(record: &mut Record) -> bool {
    let span = record.begin(Stage::UpstreamRequest);
    record.send_under(span).unwrap().flags.sampled()
}

#[test]
fn nothing_is_kept_without_a_rule_or_a_reason() {
    let all = KeepRules { errors: true, blocked: true, retries: true, ..KeepRules::default() };
    assert_eq!(outcome(&ended(all, |_| {})), (false, "probabilistic", false));
    let failed = ended(KeepRules::default(), |record| record.fail("internal", Text::trusted("x")));
    assert_eq!(outcome(&failed), (false, "probabilistic", false));
}

#[test]
fn what_is_known_before_forwarding_sets_the_flag() {
    let rules = || KeepRules { cache_misses: true, ..KeepRules::default() };
    let mut flag = false;
    let record = ended(rules(), |record| {
        lookup(record);
        flag = forward(record);
    });
    assert!(flag, "the backend is told that the trace is sampled");
    assert_eq!(outcome(&record), (true, "keep_cache_miss", false));
    let attribute =
        KeepRules { attributes: vec![(Arc::from("customer"), Arc::from("acme"))], ..KeepRules::default() };
    let record = ended(attribute, |record| {
        record.request.custom.push((Arc::from("customer"), Text::trusted("acme")));
        assert!(forward(record));
    });
    assert_eq!(outcome(&record), (true, "keep_attribute", false));
}

#[test]
fn what_is_known_only_at_the_end_keeps_a_part() {
    let rules = || KeepRules { errors: true, retries: true, ..KeepRules::default() };
    let record = ended(rules(), |record| {
        assert!(!forward(record));
        record.fail("upstream_timeout", Text::trusted("x"));
    });
    assert_eq!(outcome(&record), (true, "keep_error", true));
    let record = ended(rules(), |record| {
        forward(record);
        forward(record);
    });
    assert_eq!(outcome(&record), (true, "keep_retry", true));
}

#[test]
fn blocked_and_slow_requests_are_kept() {
    let rules = KeepRules { blocked: true, ..KeepRules::default() };
    let record = ended(rules, |record| {
        let now = Instant::now();
        let action = SecurityAction::Blocked;
        let found = JailbreakDetection { detected: true, kind: None, confidence: 1.0, action };
        let value = Finding::JailbreakDetection(found);
        record.add(Stage::JailbreakDetection, Timed { value, started: now, ended: now });
    });
    assert_eq!(outcome(&record), (true, "keep_blocked", false));
    let slow = KeepRules { slow: Some(Duration::ZERO), ..KeepRules::default() };
    assert_eq!(outcome(&ended(slow, |_| {})), (true, "keep_slow", false));
}
