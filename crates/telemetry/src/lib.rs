//! The exits of a record: metrics, OTLP, the terminal, log lines.
//!
//! [`Exits`] takes finished records: it folds the metrics on the calling thread and then makes one
//! non-blocking push to a bounded queue per destination. Destinations convert and deliver on threads of their
//! own. This crate knows nothing of requests, pipelines or settings: a record is all it sees.
//!
//! Invariants: a slow, dead or panicking destination never delays a request, holds a bounded amount of memory,
//! and counts what it drops; whatever leaves here is configuration or [`trace::Text`].

mod exits;
mod queue;
mod resource;
mod start;
mod time;
mod view;
mod worker;

pub mod log;
pub mod metrics;
pub mod otlp;
pub mod stdout;

pub use exits::{Exits, Undelivered};
pub use queue::Batch;
pub use resource::Resource;
pub use start::{AccessLines, Exporter, StdoutFormat, start};
pub use view::{Limits, View};
pub use worker::{Delivery, Destination, Health, Wants};

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refused a thread or what it needs to wait for the network.
    #[error("cannot start the telemetry thread of {name}: {source}; check the limits of this process")]
    Thread {
        /// The destination.
        name: std::sync::Arc<str>,
        /// What the system said.
        source: std::io::Error,
    },
    /// An exporter's configuration cannot be used.
    #[error(transparent)]
    Otlp(#[from] otlp::ConfigError),
}
