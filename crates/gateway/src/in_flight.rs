//! Everything that is in flight, on every door: listed by the admin API, bounded, and waited for on shutdown.
//!
//! Invariant: an entry lives exactly as long as its [`Ticket`], which the request's future or the answer's body owns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::Notify;
use trace::{Text, TraceId};

/// The table.
#[derive(Debug)]
pub struct InFlight {
    limit: usize,
    entries: Mutex<Entries>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_number: BTreeMap<u64, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    request_id: Text,
    trace_id: TraceId,
    route: &'static str,
    started: Instant,
    phase: AtomicU8,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    principal: OnceLock<Arc<str>>,
}

/// What is being done for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// Its body is being read.
    Reading,
    /// The pipeline decides.
    Deciding,
    /// A backend has been asked and has not answered.
    Waiting,
    /// The answer is on its way.
    Answering,
}

/// One request of the list.
#[derive(Clone, Debug, Serialize)]
pub struct InFlightRequest {
    /// `x-request-id`.
    pub request_id: String,
    /// The trace.
    pub trace_id: String,
    /// The route that matched.
    pub route: &'static str,
    /// Milliseconds since its head came.
    pub age_ms: u64,
    /// What is being done.
    pub phase: Phase,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of the answer so far.
    pub bytes_out: u64,
    /// Who sent it; absent before that is known.
    pub principal: Option<Arc<str>>,
}

/// The place of one request; given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    table: Arc<InFlight>,
    number: u64,
    entry: Arc<Entry>,
}

impl InFlight {
    /// An empty table with room for `limit` requests.
    #[must_use]
    pub fn new(limit: usize) -> Arc<InFlight> {
        Arc::new(InFlight { limit, entries: Mutex::default(), emptied: Notify::new() })
    }

    /// How many requests have room.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Enters a request; `None` when the table is full.
    pub fn enter(
        self: &Arc<Self>,
        request_id: Text,
        trace_id: TraceId,
        route: &'static str,
        started: Instant,
    ) -> Option<Ticket> {
        let mut entries = self.lock();
        if entries.by_number.len() >= self.limit {
            return None;
        }
        let entry = Arc::new(Entry {
            request_id,
            trace_id,
            route,
            started,
            phase: AtomicU8::new(Phase::Reading as u8),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            principal: OnceLock::new(),
        });
        let number = entries.next;
        entries.next += 1;
        entries.by_number.insert(number, Arc::clone(&entry));
        drop(entries);
        Some(Ticket { table: Arc::clone(self), number, entry })
    }

    /// All requests, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<InFlightRequest> {
        self.lock().by_number.values().map(|entry| entry.seen()).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().by_number.len()
    }

    /// Waits until there are none.
    pub async fn drained(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// A panic elsewhere leaves the table usable: every change to it is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn seen(&self) -> InFlightRequest {
        InFlightRequest {
            request_id: self.request_id.to_string(),
            trace_id: self.trace_id.to_string(),
            route: self.route,
            age_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            phase: Phase::from_number(self.phase.load(Ordering::Relaxed)),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            principal: self.principal.get().cloned(),
        }
    }
}

impl Phase {
    fn from_number(number: u8) -> Phase {
        match number {
            0 => Phase::Reading,
            1 => Phase::Deciding,
            2 => Phase::Waiting,
            _ => Phase::Answering,
        }
    }
}

impl Ticket {
    /// Notes what is being done.
    pub fn phase(&self, phase: Phase) {
        self.entry.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Notes who sent it.
    pub fn principal(&self, name: &Arc<str>) {
        // Set once per request; a second name would be a mistake of the door's and is ignored.
        let _ = self.entry.principal.set(Arc::clone(name));
    }

    /// Counts bytes of its body.
    pub fn came_in(&self, bytes: usize) {
        self.entry.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes of its answer.
    pub fn went_out(&self, bytes: usize) {
        self.entry.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut entries = self.table.lock();
        entries.by_number.remove(&self.number);
        let empty = entries.by_number.is_empty();
        drop(entries);
        if empty {
            self.table.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(table: &Arc<InFlight>) -> Option<Ticket> {
        table.enter(Text::trusted("r"), TraceId::random(), "/v1/models", Instant::now())
    }

    #[tokio::test]
    async fn the_table_is_bounded_and_drains() {
        let table = InFlight::new(2);
        let (one, two) = (enter(&table).unwrap(), enter(&table).unwrap());
        assert!(enter(&table).is_none());
        one.phase(Phase::Answering);
        one.principal(&Arc::from("team"));
        one.went_out(7);
        let list = table.list();
        assert_eq!((list[0].phase, list[0].bytes_out), (Phase::Answering, 7));
        assert_eq!(list[0].principal.as_deref(), Some("team"));
        assert_eq!(list[1].phase, Phase::Reading);
        let waiting = tokio::spawn({
            let table = Arc::clone(&table);
            async move { table.drained().await }
        });
        drop((one, two));
        waiting.await.unwrap();
        assert_eq!(table.count(), 0);
    }
}
