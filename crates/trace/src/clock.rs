//! The clock of one request: wall time once, then a monotonic clock, so that a stepped wall clock never makes
//! a negative duration.

use std::time::{Duration, Instant, SystemTime};

/// Two readings no further apart than this count as one moment.
const READ_TOGETHER: Duration = Duration::from_micros(20);

/// How often the clocks are read at most.
const READINGS: u32 = 4;

/// When a request began, by both clocks. Times within a record are nanoseconds after it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: SystemTime,
    monotonic: Instant,
}

impl Clock {
    /// Starts now. The two clocks are read again where the thread was put aside between them: a busy machine takes
    /// milliseconds for that, by which this trace would lie beside those of other programs.
    pub fn start() -> Clock {
        let mut left = READINGS;
        loop {
            let clock = Clock { monotonic: Instant::now(), wall: SystemTime::now() };
            left -= 1;
            if left == 0 || clock.monotonic.elapsed() < READ_TOGETHER {
                return clock;
            }
        }
    }

    /// A clock that started at a known moment, for records that are replayed or written by hand.
    pub fn started(wall: SystemTime, monotonic: Instant) -> Clock {
        Clock { wall, monotonic }
    }

    /// Nanoseconds since the start; saturates after 584 years.
    pub fn elapsed_ns(&self) -> u64 {
        self.at(Instant::now())
    }

    /// Nanoseconds from the start to `instant`; 0 if it lies before.
    pub fn at(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.monotonic).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wall time of an offset, in nanoseconds since the Unix epoch.
    pub fn unix_ns(&self, offset_ns: u64) -> u64 {
        let start = self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(start.as_nanos()).unwrap_or(u64::MAX).saturating_add(offset_ns)
    }

    /// Wall time at the start.
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// The monotonic instant of the start.
    pub fn monotonic(&self) -> Instant {
        self.monotonic
    }
}

/// A value with the interval in which it was measured.
#[derive(Clone, Copy, Debug)]
pub struct Timed<T> {
    /// What was measured.
    pub value: T,
    /// When measuring began.
    pub started: Instant,
    /// When measuring ended.
    pub ended: Instant,
}

impl<T> Timed<T> {
    /// Runs `measure` and notes the interval.
    pub fn measure(measure: impl FnOnce() -> T) -> Timed<T> {
        let started = Instant::now();
        let value = measure();
        Timed { value, started, ended: Instant::now() }
    }

    /// The same interval with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Timed<U> {
        Timed { value: change(self.value), started: self.started, ended: self.ended }
    }
}
