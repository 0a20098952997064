//! Counters and histograms without locks.
//!
//! Values are integers (nanoseconds, tokens, billionths of a dollar), so that adding is one atomic
//! instruction; they become floats only on a page.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use trace::{Record, TraceId};

use super::exposition::{Kind, Labels, Page};
use super::family::Series;

/// Nanoseconds of a second: the unit of histograms in seconds, and of money in billionths.
pub(super) const BILLIONTHS: f64 = 1e9;

/// Nanoseconds of a millisecond.
pub(super) const MILLIONTHS: f64 = 1e6;

/// Only grows.
pub(super) struct Counter {
    value: AtomicU64,
    /// How much of `value` is one on the page.
    unit: f64,
}

impl Counter {
    /// Counts things.
    pub(super) fn whole() -> Counter {
        Counter { value: AtomicU64::new(0), unit: 1.0 }
    }

    /// Counts billionths.
    pub(super) fn billionths() -> Counter {
        Counter { value: AtomicU64::new(0), unit: BILLIONTHS }
    }

    pub(super) fn add(&self, amount: u64) {
        self.value.fetch_add(amount, Ordering::Relaxed);
    }
}

impl Series for Counter {
    const KIND: Kind = Kind::Counter;

    fn write(&self, name: &str, labels: &Labels, page: &mut Page) {
        page.sample(name, "", labels, in_units(self.value.load(Ordering::Relaxed), self.unit));
    }
}

/// The trace that an observation came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exemplar {
    trace_id: TraceId,
    unix_ms: u64,
}

impl Exemplar {
    /// The record's trace, if it goes to sampled destinations: an exemplar must lead somewhere.
    pub(super) fn of(record: &Record) -> Option<Exemplar> {
        let unix_ms = record.clock.unix_ns(record.duration_ns) / 1_000_000;
        record.sampling.sampled.then_some(Exemplar { trace_id: record.trace_id, unix_ms })
    }
}

/// A distribution over fixed buckets, with a recent exemplar in each.
pub(super) struct Histogram {
    /// Upper bounds, ascending; a last bucket takes what exceeds them.
    bounds: &'static [u64],
    buckets: Box<[Bucket]>,
    sum: AtomicU64,
    unit: f64,
}

#[derive(Default)]
struct Bucket {
    count: AtomicU64,
    exemplar: ExemplarCell,
}

impl Histogram {
    /// A histogram whose values are counted in `1 / unit` of what the page shows.
    pub(super) fn new(bounds: &'static [u64], unit: f64) -> Histogram {
        let buckets = std::iter::repeat_with(Bucket::default).take(bounds.len() + 1).collect();
        Histogram { bounds, buckets, sum: AtomicU64::new(0), unit }
    }

    pub(super) fn observe(&self, value: u64, exemplar: Option<Exemplar>) {
        self.observe_many(value, 1, exemplar);
    }

    /// Observes a value that occurred `times` times.
    pub(super) fn observe_many(&self, value: u64, times: u64, exemplar: Option<Exemplar>) {
        let position = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        let Some(bucket) = self.buckets.get(position) else { return };
        bucket.count.fetch_add(times, Ordering::Relaxed);
        self.sum.fetch_add(value.saturating_mul(times), Ordering::Relaxed);
        if let Some(exemplar) = exemplar {
            bucket.exemplar.offer(exemplar, value);
        }
    }

    /// Number of observations.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count.load(Ordering::Relaxed)).sum()
    }
}

impl Series for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn write(&self, name: &str, labels: &Labels, page: &mut Page) {
        let mut cumulative = 0;
        for (position, bucket) in self.buckets.iter().enumerate() {
            cumulative += bucket.count.load(Ordering::Relaxed);
            let bound = self.bounds.get(position).map_or(f64::INFINITY, |bound| in_units(*bound, self.unit));
            let exemplar = bucket.exemplar.read().map(|(exemplar, value)| {
                (exemplar.trace_id, in_units(value, self.unit), in_units(exemplar.unix_ms, 1e3))
            });
            page.bucket(name, labels, bound, cumulative, exemplar);
        }
        page.sample(name, "_sum", labels, in_units(self.sum.load(Ordering::Relaxed), self.unit));
        // From the same reading as the buckets, so that they agree on one page.
        page.sample(name, "_count", labels, in_units(cumulative, 1.0));
    }
}

/// Milliseconds for which an exemplar is not replaced: a fresher one tells nothing more and costs more.
const KEEP_MS: u64 = 1000;

/// An exemplar behind a sequence lock: even versions are whole, odd ones are being written. A writer that
/// finds another at work leaves; a reader that meets a writer sees no exemplar.
#[derive(Default)]
struct ExemplarCell {
    version: AtomicU64,
    unix_ms: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    value: AtomicU64,
}

impl ExemplarCell {
    fn offer(&self, exemplar: Exemplar, value: u64) {
        if exemplar.unix_ms < self.unix_ms.load(Ordering::Relaxed).saturating_add(KEEP_MS) {
            return;
        }
        let version = self.version.load(Ordering::Relaxed);
        let claim = version.is_multiple_of(2)
            && self
                .version
                .compare_exchange(version, version + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !claim {
            return;
        }
        fence(Ordering::Release);
        let trace = u128::from_be_bytes(exemplar.trace_id.bytes());
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the id")]
        let (high, low) = ((trace >> 64) as u64, trace as u64);
        self.trace_high.store(high, Ordering::Relaxed);
        self.trace_low.store(low, Ordering::Relaxed);
        self.value.store(value, Ordering::Relaxed);
        self.unix_ms.store(exemplar.unix_ms, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    fn read(&self) -> Option<(Exemplar, u64)> {
        let version = self.version.load(Ordering::Acquire);
        if version == 0 || version % 2 == 1 {
            return None;
        }
        let high = u128::from(self.trace_high.load(Ordering::Relaxed));
        let low = u128::from(self.trace_low.load(Ordering::Relaxed));
        let value = self.value.load(Ordering::Relaxed);
        let unix_ms = self.unix_ms.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        let trace_id = TraceId::from_bytes((high << 64 | low).to_be_bytes())?;
        Some((Exemplar { trace_id, unix_ms }, value))
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats by definition")]
fn in_units(value: u64, unit: f64) -> f64 {
    value as f64 / unit
}

/// Bucket bounds given in microseconds, as nanoseconds.
pub(super) const fn microseconds<const N: usize>(mut bounds: [u64; N]) -> [u64; N] {
    let mut position = 0;
    while position < N {
        bounds[position] *= 1000;
        position += 1;
    }
    bounds
}
