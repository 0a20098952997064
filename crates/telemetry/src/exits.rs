//! Where finished records go: metrics at once, then every destination's queue.

use std::sync::Arc;
use std::time::Duration;

use trace::{Record, RecordSink};

use crate::StartError;
use crate::metrics::Metrics;
use crate::queue::Batch;
use crate::worker::{Destination, Lane, Wants};

/// Folds each finished record into the metrics and offers it to the destinations, without ever waiting.
pub struct Exits {
    metrics: Arc<Metrics>,
    lanes: Vec<Lane>,
}

/// What a flush left behind at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The destination.
    pub destination: Arc<str>,
    /// Records that were queued and are not delivered.
    pub records: u64,
}

impl Exits {
    /// Exits that only fold metrics; add destinations before sharing them.
    pub fn new(metrics: Arc<Metrics>) -> Exits {
        Exits { metrics, lanes: Vec::new() }
    }

    /// Starts a destination on a thread of its own. `name` labels its metrics and its thread; a second one of
    /// the same name becomes `name-2`, since metrics must not have two series of one name.
    pub fn add<D: Destination>(
        &mut self,
        name: &str,
        wants: Wants,
        batch: Batch,
        destination: D,
    ) -> Result<(), StartError> {
        let same = |lane: &&Lane| **lane.name() == *name || lane.name().starts_with(&format!("{name}-"));
        let name = match self.lanes.iter().filter(same).count() {
            0 => Arc::from(name),
            others => Arc::from(format!("{name}-{}", others + 1)),
        };
        let lane = Lane::start(name, wants, batch, destination)?;
        self.metrics.watch(lane.gauge());
        self.lanes.push(lane);
        Ok(())
    }

    /// The metrics into which records are folded.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Delivers what is queued, for at most `within`; what is still undelivered then, per destination.
    /// Needs a tokio runtime with time.
    pub async fn flush(&self, within: Duration) -> Vec<Undelivered> {
        let deadline = tokio::time::Instant::now() + within;
        let mut left = Vec::new();
        for lane in &self.lanes {
            // All at once, before any is waited for.
            lane.hurry();
        }
        for lane in &self.lanes {
            let records = lane.flush(deadline.saturating_duration_since(tokio::time::Instant::now())).await;
            if records > 0 {
                left.push(Undelivered { destination: Arc::clone(lane.name()), records });
            }
        }
        left
    }

    /// Takes no more records, flushes for at most `within`, and logs what could not be delivered.
    pub async fn shutdown(&self, within: Duration) -> Vec<Undelivered> {
        for lane in &self.lanes {
            lane.close();
        }
        let left = self.flush(within).await;
        for Undelivered { destination, records } in &left {
            tracing::warn!(
                destination = %destination,
                records,
                "traces not delivered at shutdown: the destination was too slow or not there"
            );
        }
        left
    }
}

impl RecordSink for Exits {
    fn finished(&self, record: Box<Record>) {
        self.metrics.fold(&record);
        if !self.lanes.iter().any(|lane| lane.takes(&record)) {
            return;
        }
        let record: Arc<Record> = Arc::from(record);
        for lane in self.lanes.iter().filter(|lane| lane.takes(&record)) {
            lane.push(Arc::clone(&record));
        }
    }
}

impl Drop for Exits {
    fn drop(&mut self) {
        // Lets the threads end once they have delivered what waits.
        for lane in &self.lanes {
            lane.close();
        }
    }
}
