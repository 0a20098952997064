//! The HTTP door: the OpenAI-compatible API, the classification API, the dry run, and what a platform asks of a service.
//!
//! It is not the pipeline: it reads requests, hands them over, and writes what came of them. Invariant: each request
//! that reaches a handler leaves one record, which ends when the last byte of the answer has gone to the connection.

mod answer;
mod answer_stream;
mod classify;
mod dry_run;
mod errors;
mod forward;
mod headers;
mod health;
mod models;
mod openapi;
mod principal;
mod receive;
mod routes;
mod serve;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use pipeline::Pipeline;
use trace::RecordSink;

use crate::access::Access;
use crate::in_flight::InFlight;
use crate::tracing_policy::TracingPolicy;

pub use routes::ROUTES;
pub use serve::serve;

/// What the HTTP door works with. What can change while it runs is behind an [`ArcSwap`]; a request keeps what it began with.
pub struct HttpDoor {
    /// The current pipeline.
    pub pipeline: Arc<ArcSwap<Pipeline>>,
    /// Calls backends.
    pub client: upstream::Client,
    /// Where records go.
    pub sink: Arc<dyn RecordSink>,
    /// How traces begin.
    pub tracing: Arc<ArcSwap<TracingPolicy>>,
    /// Who may call.
    pub access: Arc<ArcSwap<Access>>,
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// Everything in flight.
    pub in_flight: Arc<InFlight>,
    /// Whether requests can be served.
    pub ready: ReadyCheck,
    /// What the service says of itself.
    pub service: Service,
}

/// Says whether requests can be served; the error is a sentence for operators, without secrets.
pub type ReadyCheck = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the service says of itself.
#[derive(Clone, Debug)]
pub struct Service {
    /// `service.name`.
    pub name: Arc<str>,
    /// The version of the program.
    pub version: &'static str,
    /// When it started: `created` of its models.
    pub started: SystemTime,
}

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Largest request head, in bytes, names and values with four bytes for each line.
    pub header_bytes: usize,
    /// Most header lines.
    pub headers: usize,
    /// Most messages in a conversation.
    pub messages: usize,
    /// How long a request's body may take.
    pub read_timeout: Duration,
    /// How long a request's head may take; also how long a connection may stay idle.
    pub head_timeout: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// How long answers in progress may take once the door closes.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 10 * 1024 * 1024,
            header_bytes: 64 * 1024,
            headers: 100,
            messages: 10_000,
            read_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(30),
            connections: 4096,
            drain: Duration::from_secs(30),
        }
    }
}
