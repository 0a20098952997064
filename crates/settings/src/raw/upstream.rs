//! `upstream` as people write it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::defaults;

/// How backends are called.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Timeouts of each phase of a call.
    pub timeouts: Option<Timeouts>,
    /// When another backend is tried.
    pub failover: Option<Failover>,
    /// When an endpoint is left out for a while.
    pub ejection: Option<Ejection>,
}

/// Timeouts of each phase of a call, in milliseconds.
#[derive(Deserialize, JsonSchema, Default, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// Until the connection is open. Default: 5000.
    #[schemars(range(min = 1, max = 3600000))]
    pub connect_ms: Option<u64>,
    /// Until the first byte of the answer's body. Default: 120000.
    #[schemars(range(min = 1, max = 3600000))]
    pub first_token_ms: Option<u64>,
    /// Between two chunks of the answer. Default: 60000.
    #[schemars(range(min = 1, max = 3600000))]
    pub idle_ms: Option<u64>,
    /// For the whole request, all attempts together. Default: 600000.
    #[schemars(range(min = 1, max = 86400000))]
    pub total_ms: Option<u64>,
}

/// When another backend is tried, before the first byte has gone to the client. Connect errors always count.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failover {
    /// Statuses after which the next backend is tried. 502 and 504 only where they are listed here.
    #[schemars(extend("default" = defaults::FAILOVER_STATUSES))]
    pub statuses: Option<Vec<u16>>,
    /// The most attempts for one request, the first included.
    #[schemars(range(min = 1, max = 16), extend("default" = defaults::ATTEMPTS))]
    pub attempts: Option<u32>,
    /// Bounds retries over all requests, so that they cannot multiply an outage.
    pub retry_budget: Option<RetryBudget>,
}

/// Bounds retries over all requests.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryBudget {
    /// Retries per request, on average.
    #[schemars(range(min = 0.0, max = 10.0), extend("default" = defaults::RETRY_RATIO))]
    pub ratio: Option<f64>,
    /// Retries per second that are always allowed.
    #[schemars(extend("default" = defaults::RETRY_MIN_PER_SECOND))]
    pub min_per_second: Option<u32>,
}

/// When an endpoint is left out for a while.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ejection {
    /// Failures in a row.
    #[schemars(range(min = 1), extend("default" = defaults::EJECT_AFTER_FAILURES))]
    pub after_failures: Option<u32>,
    /// For how long, in milliseconds.
    #[schemars(range(min = 1, max = 3600000), extend("default" = defaults::EJECT_MS))]
    pub for_ms: Option<u64>,
}
