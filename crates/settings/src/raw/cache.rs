//! `cache`, `on_failure` and `responses` as people write them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::defaults;

/// Answers that are remembered.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// On or off.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Where answers are kept.
    #[schemars(extend("default" = "embedded"))]
    pub backend: Option<CacheBackend>,
    /// Who shares answers.
    #[schemars(extend("default" = "principal"))]
    pub scope: Option<CacheScope>,
    /// The header whose value separates answers, for the scope `header`.
    pub scope_header: Option<String>,
    /// The similarity from which a stored answer counts. In this version only 1: the same text after normalisation.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = defaults::CACHE_THRESHOLD))]
    pub threshold: Option<f64>,
    /// How long an answer is good for, in seconds.
    #[schemars(range(min = 1), extend("default" = defaults::CACHE_TTL_SECONDS))]
    pub ttl_seconds: Option<u64>,
    /// The most answers.
    #[schemars(range(min = 1), extend("default" = defaults::CACHE_ENTRIES))]
    pub max_entries: Option<u64>,
    /// The most bytes, all answers together.
    #[schemars(range(min = 1), extend("default" = defaults::CACHE_BYTES))]
    pub max_bytes: Option<u64>,
    /// The largest single answer, in bytes.
    #[schemars(range(min = 1), extend("default" = defaults::CACHE_ENTRY_BYTES))]
    pub max_entry_bytes: Option<u64>,
    /// What may be remembered besides plain questions.
    pub allow: Option<CacheAllow>,
}

/// Where answers are kept.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CacheBackend {
    /// In this process.
    Embedded,
    /// In Qdrant. Not available in this version.
    Qdrant,
}

/// Who shares answers.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CacheScope {
    /// Everybody.
    Global,
    /// Each principal has its own.
    Principal,
    /// Callers with the same value of `scope_header`.
    Header,
}

/// What may be remembered besides plain questions.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheAllow {
    /// Requests that offer tools.
    #[schemars(extend("default" = false))]
    pub tools: Option<bool>,
    /// Requests with images.
    #[schemars(extend("default" = false))]
    pub images: Option<bool>,
    /// Requests for more than one answer.
    #[schemars(extend("default" = false))]
    pub several_choices: Option<bool>,
    /// The highest temperature.
    #[schemars(range(min = 0.0, max = 2.0), extend("default" = defaults::CACHE_MAX_TEMPERATURE))]
    pub max_temperature: Option<f64>,
}

/// What happens to a request when a stage cannot do its work.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// The request goes on without it, visibly on its span.
    Skip,
    /// The request is refused.
    Refuse,
}

/// What happens to a request when an optional stage fails.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnFailure {
    /// Recognising the domain.
    #[schemars(extend("default" = "skip"))]
    pub classification: Option<FailurePolicy>,
    /// Finding personal data.
    #[schemars(extend("default" = "refuse"))]
    pub pii_detection: Option<FailurePolicy>,
    /// Finding jailbreaks.
    #[schemars(extend("default" = "refuse"))]
    pub jailbreak_detection: Option<FailurePolicy>,
    /// Looking an answer up.
    #[schemars(extend("default" = "skip"))]
    pub cache_lookup: Option<FailurePolicy>,
    /// How long recognising the domain and finding personal data and jailbreaks may take, side by side, in milliseconds. What has
    /// not ended then has failed. Texts under 64 KiB are always checked.
    #[schemars(range(min = 1, max = 600000), extend("default" = defaults::CHECK_TIMEOUT_MS))]
    pub check_timeout_ms: Option<u64>,
}

/// What happens to answers.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Responses {
    /// Whether masked personal data is put back where the answer repeats the mask.
    #[schemars(extend("default" = true))]
    pub unmask: Option<bool>,
}
