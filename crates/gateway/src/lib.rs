//! The doors through which requests come: plain HTTP now, and beside it the doors for operators.
//!
//! A door translates: bytes into a [`pipeline::request::Request`], an outcome into bytes. What happens to a request is
//! decided in `pipeline`, and this crate holds no rule of its own about models, prompts or answers.
//!
//! Invariants: every request that a door takes leaves exactly one record, errors included; no header of a client's
//! reaches a backend as routing or identity unless its sender is trusted; only this crate names HTTP status codes.

mod connection;

pub mod access;
pub mod admin;
pub mod http;
pub mod in_flight;
pub mod metrics;
pub mod tracing_policy;
