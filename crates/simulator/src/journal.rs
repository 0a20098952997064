//! What the simulator saw, for tests to read.
//!
//! Bounded: the newest 4,096 requests and 64 MiB of bodies are kept. Invariant: a request that was entered gets
//! an outcome, whatever becomes of its connection, because its [`Visit`] writes one when it is dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::sync::watch;

const ENTRIES: usize = 4_096;
const BODY_BYTES: usize = 64 << 20;

/// One request as it arrived, and what became of it so far.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// All headers, `traceparent` among them.
    pub headers: HeaderMap,
    /// The body; what had come of it when the client left before its end.
    pub body: Bytes,
    /// When the head had been read.
    pub at: Instant,
    /// Name of the fault that struck it.
    pub fault: Option<&'static str>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended, seen from the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    InProgress,
    /// The whole answer was handed to the connection.
    Completed,
    /// The script broke the answer off.
    BrokenOff {
        /// Chunks handed to the connection before.
        after_chunks: usize,
    },
    /// The client closed the connection, or reset the HTTP/2 stream, before the answer's end.
    ClientLeft {
        /// Chunks handed to the connection before.
        after_chunks: usize,
    },
}

/// How many requests came and how many ended, since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    arrived: usize,
    ended: usize,
}

#[derive(Debug, Default)]
struct Entries {
    kept: VecDeque<SeenRequest>,
    /// Number of the first one kept.
    first: usize,
    body_bytes: usize,
}

/// The list of seen requests.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: Mutex<Entries>,
    counts: watch::Sender<Counts>,
}

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { entries: Mutex::default(), counts: watch::Sender::new(Counts::default()) })
    }

    /// Enters a request; the returned visit decides its outcome.
    pub(crate) fn enter(self: &Arc<Self>, seen: SeenRequest) -> Visit {
        let mut entries = self.lock();
        entries.body_bytes += seen.body.len();
        entries.kept.push_back(seen);
        let number = entries.first + entries.kept.len() - 1;
        while entries.kept.len() > 1 && (entries.kept.len() > ENTRIES || entries.body_bytes > BODY_BYTES) {
            let Some(oldest) = entries.kept.pop_front() else { break };
            entries.body_bytes -= oldest.body.len();
            entries.first += 1;
        }
        drop(entries);
        self.counts.send_modify(|counts| counts.arrived += 1);
        Visit { journal: self.clone(), number, chunks: 0, ended: false }
    }

    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.lock().kept.iter().cloned().collect()
    }

    /// Waits until `count` requests have come since the start; false when the time ran out first.
    pub(crate) async fn arrived(&self, count: usize, timeout: Duration) -> bool {
        self.reached(timeout, |counts| counts.arrived >= count).await
    }

    /// Waits until `count` requests have ended since the start; false when the time ran out first.
    pub(crate) async fn ended(&self, count: usize, timeout: Duration) -> bool {
        self.reached(timeout, |counts| counts.ended >= count).await
    }

    async fn reached(&self, timeout: Duration, enough: impl Fn(&Counts) -> bool) -> bool {
        let mut counts = self.counts.subscribe();
        tokio::time::timeout(timeout, counts.wait_for(|counts| enough(counts)))
            .await
            .is_ok_and(|seen| seen.is_ok())
    }

    fn change(&self, number: usize, edit: impl FnOnce(&mut SeenRequest)) {
        let mut entries = self.lock();
        let index = number.checked_sub(entries.first);
        if let Some(seen) = index.and_then(|index| entries.kept.get_mut(index)) {
            edit(seen);
        }
    }

    /// A panic elsewhere leaves the list usable: every change to it is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request under way. Dropped without an outcome, it means that the client left.
#[derive(Debug)]
pub(crate) struct Visit {
    journal: Arc<Journal>,
    number: usize,
    chunks: usize,
    ended: bool,
}

impl Visit {
    pub(crate) fn struck_by(&self, fault: &'static str) {
        self.journal.change(self.number, |seen| seen.fault = Some(fault));
    }

    pub(crate) fn chunk_sent(&mut self) {
        self.chunks += 1;
    }

    pub(crate) fn completed(&mut self) {
        self.end(Outcome::Completed);
    }

    pub(crate) fn broken_off(&mut self) {
        self.end(Outcome::BrokenOff { after_chunks: self.chunks });
    }

    /// Only the first outcome counts.
    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.journal.change(self.number, |seen| seen.outcome = outcome);
        self.journal.counts.send_modify(|counts| counts.ended += 1);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.end(Outcome::ClientLeft { after_chunks: self.chunks });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: Bytes) -> SeenRequest {
        SeenRequest {
            method: Method::POST,
            path: "/".into(),
            headers: HeaderMap::new(),
            body,
            at: Instant::now(),
            fault: None,
            outcome: Outcome::InProgress,
        }
    }

    #[test]
    fn a_dropped_visit_means_that_the_client_left() {
        let journal = Journal::new();
        let mut visit = journal.enter(request(Bytes::new()));
        visit.chunk_sent();
        assert_eq!(journal.requests()[0].outcome, Outcome::InProgress);
        drop(visit);
        assert_eq!(journal.requests()[0].outcome, Outcome::ClientLeft { after_chunks: 1 });
    }

    #[test]
    fn the_list_is_bounded_and_late_outcomes_find_their_own_request_or_none() {
        let journal = Journal::new();
        let first = journal.enter(request(Bytes::new()));
        for _ in 0..ENTRIES {
            journal.enter(request(Bytes::new())).completed();
        }
        drop(first);
        let requests = journal.requests();
        assert_eq!(requests.len(), ENTRIES);
        assert!(requests.iter().all(|seen| seen.outcome == Outcome::Completed));

        let journal = Journal::new();
        for _ in 0..3 {
            journal.enter(request(Bytes::from(vec![0; BODY_BYTES / 2]))).completed();
        }
        assert_eq!(journal.requests().len(), 2);
    }
}
