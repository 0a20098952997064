//! One contender under load for a while: what its clients saw, and what it used meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use super::Failure;
use super::load::Slice;
use super::process::Process;
use super::statistics::quantile;

/// The figures of one slice. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// Median latency.
    pub(crate) p50: f64,
    /// Latency that one request in a hundred exceeds.
    pub(crate) p99: f64,
    /// Requests per second.
    pub(crate) rate: f64,
    /// Processor time of its process per request.
    pub(crate) processor: f64,
    /// Processor time of the backend per request; its own where it is the backend.
    pub(crate) backend_processor: f64,
    /// Traces that its exporters refused, by requests.
    pub(crate) dropped: f64,
}

/// Measures `process`, and `backend` behind it, under a load that calls back when its clock starts.
pub(crate) fn measure(
    process: &Process,
    backend: &Process,
    load: impl FnOnce(&mut dyn FnMut()) -> Result<Slice, Failure>,
) -> Result<Cell, Failure> {
    let mut before = Usage::of(process, backend);
    let slice = load(&mut || before = Usage::of(process, backend))?;
    let after = Usage::of(process, backend);
    let count = slice.latencies_ns.len().max(1) as f64;
    let microseconds = |share| quantile(&slice.latencies_ns, share) as f64 / 1e3;
    let per_request = |time: Duration| time.as_secs_f64() * 1e6 / count;
    Ok(Cell {
        p50: microseconds(0.5),
        p99: microseconds(0.99),
        rate: count / slice.elapsed.as_secs_f64(),
        processor: per_request(between(&before.own, &after.own)),
        backend_processor: per_request(between(&before.backend, &after.backend)),
        dropped: after.dropped.saturating_sub(before.dropped) as f64 / count,
    })
}

/// Processor time by the kernel's number of the thread.
type ThreadTimes = HashMap<u32, Duration>;

/// What has been used so far.
struct Usage {
    own: ThreadTimes,
    backend: ThreadTimes,
    dropped: u64,
}

impl Usage {
    fn of(process: &Process, backend: &Process) -> Usage {
        Usage {
            own: process.thread_times(),
            backend: backend.thread_times(),
            dropped: process.dropped_traces(),
        }
    }
}

/// Threads that have ended in between are left out, and none of those measured here do under load.
fn between(before: &ThreadTimes, after: &ThreadTimes) -> Duration {
    let used = |(thread, time): (&u32, &Duration)| {
        time.saturating_sub(before.get(thread).copied().unwrap_or_default())
    };
    after.iter().map(used).sum()
}
