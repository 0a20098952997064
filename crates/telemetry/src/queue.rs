//! The bounded queue between requests and one destination.
//!
//! A request's thread pushes and never waits: a full queue refuses. The destination's thread takes batches.
//! Only the first record after a pause and the one that fills a batch wake the destination, since a wake-up
//! costs the pushing thread more than all the rest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use trace::Record;

/// How records are gathered before they are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Most records that wait; further ones are dropped and counted.
    pub queue_records: usize,
    /// Most spans in one delivery. A single record with more is delivered alone.
    pub size_spans: usize,
    /// Longest time that a record waits for others.
    pub interval: Duration,
}

impl Batch {
    /// For a collector: large batches, a second's delay. A full queue holds about 12 MB.
    pub const EXPORT: Batch =
        Batch { queue_records: 2048, size_spans: 2048, interval: Duration::from_secs(1) };

    /// For a reader at a terminal: a delay that nobody notices.
    pub const TERMINAL: Batch =
        Batch { queue_records: 2048, size_spans: 1024, interval: Duration::from_millis(20) };
}

/// What became of a pushed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits.
    Queued,
    /// The queue is full or closed.
    Refused,
}

/// See the module.
pub(crate) struct Queue {
    batch: Batch,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Record>>,
    waiting_spans: usize,
    /// Records ever queued, and ever taken: positions in one sequence.
    queued: u64,
    taken: u64,
    /// Up to this position nothing waits for company.
    hurry_to: u64,
    closed: bool,
}

impl State {
    fn is_due(&self, batch: Batch) -> bool {
        self.waiting_spans >= batch.size_spans || self.taken < self.hurry_to || self.closed
    }
}

impl Queue {
    pub(crate) fn new(batch: Batch) -> Queue {
        Queue { batch, state: Mutex::default(), wake: Notify::new() }
    }

    /// Queues a record without waiting.
    pub(crate) fn push(&self, record: Arc<Record>) -> Pushed {
        let spans = span_count(&record);
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= self.batch.queue_records {
            return Pushed::Refused;
        }
        let before = state.waiting_spans;
        state.waiting.push_back(record);
        state.waiting_spans += spans;
        state.queued += 1;
        let fills = before < self.batch.size_spans && state.waiting_spans >= self.batch.size_spans;
        drop(state);
        if before == 0 || fills {
            self.wake.notify_one();
        }
        Pushed::Queued
    }

    /// The next batch, once it is full, old enough, or hurried; `None` when the queue is closed and empty.
    pub(crate) async fn next(&self) -> Option<Vec<Arc<Record>>> {
        while self.len() == 0 {
            if self.lock().closed {
                return None;
            }
            self.wake.notified().await;
        }
        let until = Instant::now() + self.batch.interval;
        while !self.lock().is_due(self.batch) {
            if timeout_at(until, self.wake.notified()).await.is_err() {
                break;
            }
        }
        Some(self.take())
    }

    /// Asks that everything queued so far be delivered without delay; its position in the sequence.
    pub(crate) fn hurry(&self) -> u64 {
        let mut state = self.lock();
        state.hurry_to = state.queued;
        let position = state.queued;
        drop(state);
        self.wake.notify_one();
        position
    }

    /// Refuses all further records; those that wait can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Records that wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn take(&self) -> Vec<Arc<Record>> {
        let mut state = self.lock();
        let mut batch = Vec::new();
        let mut spans = 0;
        while let Some(record) = state.waiting.front() {
            let more = span_count(record);
            if !batch.is_empty() && spans + more > self.batch.size_spans {
                break;
            }
            spans += more;
            batch.extend(state.waiting.pop_front());
        }
        state.waiting_spans -= spans;
        state.taken += batch.len() as u64;
        batch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so that a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The root and its children.
fn span_count(record: &Record) -> usize {
    record.spans().len() + 1
}
