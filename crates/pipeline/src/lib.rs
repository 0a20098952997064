//! What happens to a request and to its answer; no I/O of its own.
//!
//! A door makes a [`request::Request`] of what came in and asks [`Pipeline::decide`]. The outcome is a refusal, a known
//! answer, or a plan; a plan goes on in an [`exchange::Exchange`], which hands out attempts and reads what comes back.
//! The classifiers, the cache and the endpoints stand behind [`ports`].
//!
//! Invariant: nothing here opens a socket, reads a file or knows a web framework; what a request may cause is in its
//! record and in the bytes that the exchange hands out.

mod decisions;
mod pipeline;
mod stages;

pub mod answer_headers;
pub mod exchange;
pub mod masking;
pub mod outcome;
pub mod policy;
pub mod ports;
pub mod replay;
pub mod request;
pub mod signals;

pub use pipeline::Pipeline;
pub use stages::routing_decision::{REASONING_GROUP, requested_model};
