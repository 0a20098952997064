//! One destination, on a thread of its own: takes batches from its queue and delivers them.
//!
//! Invariant: nothing that a destination does, not even a panic, is felt by a request; what it cannot deliver
//! is counted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use trace::Record;

use crate::StartError;
use crate::queue::{Batch, Pushed, Queue};

/// Which records a destination gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Those that sampling has chosen.
    Sampled,
    /// Every one.
    All,
}

/// Where records go. Runs alone on its thread and may block it.
pub trait Destination: Send + 'static {
    /// Delivers a batch, retries included, within bounds of its own. Failures are the destination's to log.
    fn deliver(&mut self, batch: &[Arc<Record>]) -> impl Future<Output = Delivery>;
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It arrived.
    Delivered,
    /// This many of its spans were refused for good; the rest arrived.
    Partial {
        /// Spans that the receiver rejected.
        rejected_spans: u64,
    },
    /// It is lost.
    Failed,
}

/// Health of one destination, for the metrics.
#[derive(Debug, Default)]
pub struct Health {
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    rejected_spans: AtomicU64,
}

impl Health {
    /// Traces that arrived.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Traces that were lost although they were tried.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Traces that the full queue refused.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Spans that the receiver rejected out of batches that it took.
    pub fn rejected_spans(&self) -> u64 {
        self.rejected_spans.load(Ordering::Relaxed)
    }

    fn note(&self, delivery: Delivery, records: u64) {
        match delivery {
            Delivery::Delivered => _ = self.delivered.fetch_add(records, Ordering::Relaxed),
            Delivery::Partial { rejected_spans } => {
                self.delivered.fetch_add(records, Ordering::Relaxed);
                self.rejected_spans.fetch_add(rejected_spans, Ordering::Relaxed);
            }
            Delivery::Failed => _ = self.failed.fetch_add(records, Ordering::Relaxed),
        }
    }
}

/// How far a destination's thread stands behind those of requests. Enough that a request that wakes up goes first; not so much
/// that exports starve on a machine without a pause, where 10 was seen to lose traces and 5 was not
/// (`cargo run --release -p benches -- tracing`).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Lets requests go first where there are more threads than processors. On Linux a niceness belongs to a thread
/// (sched(7), "The nice value"); elsewhere it would be the whole process's, so that nothing is done there.
fn step_back() {
    // Not allowed is no harm: the thread works as it is.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

/// The requests' end of a destination.
pub(crate) struct Lane {
    name: Arc<str>,
    wants: Wants,
    queue: Arc<Queue>,
    health: Arc<Health>,
    /// Records that the destination is done with, delivered or not.
    settled: watch::Receiver<u64>,
}

impl Lane {
    /// Starts the destination's thread.
    pub(crate) fn start<D: Destination>(
        name: Arc<str>,
        wants: Wants,
        batch: Batch,
        destination: D,
    ) -> Result<Lane, StartError> {
        let queue = Arc::new(Queue::new(batch));
        let health = Arc::new(Health::default());
        let (sender, settled) = watch::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| StartError::Thread { name: Arc::clone(&name), source })?;
        let (own_queue, own_health) = (Arc::clone(&queue), Arc::clone(&health));
        std::thread::Builder::new()
            .name(format!("telemetry-{name}"))
            .spawn(move || {
                step_back();
                runtime.block_on(run(own_queue, own_health, sender, destination));
            })
            .map_err(|source| StartError::Thread { name: Arc::clone(&name), source })?;
        Ok(Lane { name, wants, queue, health, settled })
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn takes(&self, record: &Record) -> bool {
        match self.wants {
            Wants::Sampled => record.sampling.sampled,
            Wants::All => true,
        }
    }

    pub(crate) fn push(&self, record: Arc<Record>) {
        if self.queue.push(record) == Pushed::Refused {
            self.health.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn close(&self) {
        self.queue.close();
    }

    pub(crate) fn gauge(&self) -> LaneGauge {
        LaneGauge {
            name: Arc::clone(&self.name),
            queue: Arc::clone(&self.queue),
            health: Arc::clone(&self.health),
        }
    }

    /// Lets nothing that is queued wait for company.
    pub(crate) fn hurry(&self) {
        self.queue.hurry();
    }

    /// Waits until everything queued so far is settled; the number of records that are not by then.
    pub(crate) async fn flush(&self, within: Duration) -> u64 {
        let position = self.queue.hurry();
        let mut settled = self.settled.clone();
        let done = settled.wait_for(|count| *count >= position);
        match tokio::time::timeout(within, done).await {
            Ok(Ok(_)) => 0,
            // The time is over, or the destination's thread has died.
            _ => position.saturating_sub(*self.settled.borrow()),
        }
    }
}

/// What the metrics read of a destination.
pub(crate) struct LaneGauge {
    pub(crate) name: Arc<str>,
    queue: Arc<Queue>,
    pub(crate) health: Arc<Health>,
}

impl LaneGauge {
    pub(crate) fn queue_length(&self) -> usize {
        self.queue.len()
    }
}

async fn run<D: Destination>(
    queue: Arc<Queue>,
    health: Arc<Health>,
    settled: watch::Sender<u64>,
    mut destination: D,
) {
    while let Some(batch) = queue.next().await {
        let delivery = destination.deliver(&batch).await;
        let records = batch.len() as u64;
        health.note(delivery, records);
        settled.send_modify(|count| *count += records);
    }
}
