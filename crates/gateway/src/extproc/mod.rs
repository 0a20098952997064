//! Envoy's door: an external processor (`ext_proc` v3). Envoy holds the connections to clients and backends, and asks here
//! what to do with each request.
//!
//! One gRPC stream is one request. It is a state machine by type (`conversation::State`), each state owning only its own
//! data, around the same `decide` and `Exchange` as plain HTTP. What differs: Envoy sends the request, so that there is one
//! attempt, and Envoy retries by its own rules.
//!
//! Invariants: every stream that begins with a head leaves one record; nothing waits without a bound; what Envoy does not
//! show is said in the trace, never guessed.

mod context;
mod conversation;
mod deciding;
mod forwarded;
mod head;
mod immediate;
mod modes;
mod mutation;
mod names;
mod passing;
mod reading;
mod replies;
mod serve;
mod service;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pipeline::Pipeline;
use trace::RecordSink;

use crate::access::Access;
use crate::in_flight::InFlight;
use crate::limits::Limits;
use crate::tracing_policy::TracingPolicy;

pub use names::Names;
pub use serve::serve;

/// What the door works with. What can change while it runs is behind an [`ArcSwap`]; a request keeps what it began with.
pub struct ExtProcDoor {
    /// The current pipeline.
    pub pipeline: Arc<ArcSwap<Pipeline>>,
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
    /// How long a decision may take; under Envoy's message timeout.
    pub decision_timeout: Duration,
    /// What happens to a prompt that cannot be routed by its content.
    pub on_unroutable: OnUnroutable,
    /// The addresses of endpoints.
    pub names: Names,
}

/// What happens to a prompt that Envoy sends in a way in which it cannot be routed by its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnroutable {
    /// It goes on as it came, and the trace says so.
    Pass,
    /// It is answered with an error.
    #[default]
    Refuse,
}
