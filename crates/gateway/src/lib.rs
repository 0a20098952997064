//! The doors through which requests come: plain HTTP and Envoy's external processing, and beside them those for operators.
//!
//! A door translates: bytes into a [`pipeline::request::Request`], an outcome into bytes. What happens to a request is
//! decided in `pipeline`, and this crate holds no rule of its own about models, prompts or answers.
//!
//! Invariants: every request that a door takes leaves exactly one record, errors included; no header of a client's
//! reaches a backend as routing or identity unless its sender is trusted; only this crate names HTTP status codes.

mod answers;
mod connection;
mod errors;
mod headers;
mod intake;

pub mod access;
pub mod admin;
pub mod extproc;
pub mod http;
pub mod in_flight;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod tls;
pub mod tracing_policy;
