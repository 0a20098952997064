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
mod health;
mod models;
mod openapi;
mod receive;
mod routes;
mod serve;

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use pipeline::Pipeline;
use trace::RecordSink;

use crate::access::Access;
use crate::in_flight::InFlight;
use crate::tracing_policy::TracingPolicy;

pub use crate::limits::Limits;
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
