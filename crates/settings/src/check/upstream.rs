//! How backends are called.

use std::time::Duration;

/// Timeouts of each phase of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection is open.
    pub connect: Duration,
    /// Until the first byte of the answer's body.
    pub first_token: Duration,
    /// Between two chunks.
    pub idle: Duration,
    /// For the whole request.
    pub total: Duration,
}

/// Failover, retries, ejection.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Statuses after which the next backend is tried, each 400 to 599, ascending.
    pub failover_statuses: Vec<u16>,
    /// The most attempts for one request, the first included; at least 1.
    pub attempts: u32,
    /// Bounds retries over all requests.
    pub retry_budget: RetryBudget,
    /// Failures in a row after which an endpoint is left out.
    pub eject_after_failures: u32,
    /// For how long.
    pub eject_for: Duration,
}

/// Bounds retries over all requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Retries per request, on average.
    pub ratio: f64,
    /// Retries per second that are always allowed.
    pub min_per_second: u32,
}
