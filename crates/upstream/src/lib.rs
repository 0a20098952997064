//! Bytes to and from a backend: a pooled client, and the choice among a model's endpoints.
//!
//! A door hands a complete [`Call`] to [`Client::send`] and reads the [`Answer`] chunk by chunk; [`Pool`] is the
//! pipeline's port for choosing endpoints and for their health. Neither looks into a body, retries an answer, or
//! knows what was asked: that is the pipeline's business.
//!
//! Invariant: every wait has a limit and every fault says which endpoint and why, never what was sent to it. Whoever
//! drops a call or an answer cancels the backend's work.

mod balance;
mod body;
mod client;
mod config;
mod connector;
mod direct;
mod fault;
mod timer;
mod tls;

pub use balance::{BalanceConfig, Clock, EndpointStatus, Pool, RetryBudgetConfig, Strategy};
pub use body::AnswerBody;
pub use client::{Answer, Call, Client};
pub use config::{ClientConfig, ClientError};
