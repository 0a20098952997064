//! A sampling rate that follows the traffic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long traffic is counted before the rate follows it.
const WINDOW: Duration = Duration::from_secs(1);

/// Aims at a number of sampled traces per second. The rate of a window is what the window before would have needed; the
/// first one samples everything, so that a quiet service loses nothing.
#[derive(Debug)]
pub struct AdaptiveRate {
    target_per_second: f64,
    started: Instant,
    /// Number of the window that is being counted.
    window: AtomicU64,
    /// Traces seen in it.
    seen: AtomicU64,
    /// The rate in force, as the bits of a double.
    rate: AtomicU64,
}

impl AdaptiveRate {
    /// Aims at so many sampled traces per second.
    pub fn new(target_per_second: f64) -> AdaptiveRate {
        AdaptiveRate {
            target_per_second,
            started: Instant::now(),
            window: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            rate: AtomicU64::new(1.0_f64.to_bits()),
        }
    }

    /// What it aims at.
    pub fn target_per_second(&self) -> f64 {
        self.target_per_second
    }

    /// Counts a trace that begins at `now`, and gives the rate for it, 0 to 1.
    pub fn count(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.started).as_nanos() / WINDOW.as_nanos();
        let current = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let counted = self.window.load(Ordering::Acquire);
        if current > counted
            && self.window.compare_exchange(counted, current, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            // Whoever turns the window sets the rate; traces of other threads in between count for either.
            let seen = self.seen.swap(0, Ordering::AcqRel);
            self.rate.store(self.rate_for(seen, current - counted).to_bits(), Ordering::Release);
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        f64::from_bits(self.rate.load(Ordering::Acquire))
    }

    /// The rate that would have met the target, had the traffic been like this for `windows` windows.
    #[expect(clippy::cast_precision_loss, reason = "counts of traces are far below 2^52")]
    fn rate_for(&self, seen: u64, windows: u64) -> f64 {
        let per_second = seen as f64 / (windows as f64 * WINDOW.as_secs_f64());
        if per_second <= self.target_per_second { 1.0 } else { self.target_per_second / per_second }
    }
}

impl PartialEq for AdaptiveRate {
    /// By what they aim at; where they stand is not part of the setting.
    fn eq(&self, other: &Self) -> bool {
        self.target_per_second == other.target_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_traffic_with_one_window_of_delay() {
        let adaptive = AdaptiveRate::new(10.0);
        let at = |ms: u64| adaptive.started + Duration::from_millis(ms);
        for n in 0..100 {
            assert_eq!(adaptive.count(at(n * 10)), 1.0, "the first second is whole");
        }
        assert_eq!(adaptive.count(at(1_000)), 0.1);
        for n in 1..5 {
            assert_eq!(adaptive.count(at(1_000 + n)), 0.1);
        }
        assert_eq!(adaptive.count(at(2_000)), 1.0, "five in a second are under the target");
        for _ in 0..99 {
            adaptive.count(at(2_001));
        }
        assert_eq!(adaptive.count(at(12_000)), 1.0, "a hundred in ten seconds meet it");
    }
}
