//! What people write: the shape of the YAML file, as serde reads it and as the JSON schema shows it.
//!
//! What it is not: trusted. Every field may be missing and nothing refers to anything yet; [`crate::check`] turns this
//! into [`crate::Settings`]. Its invariant: no default is filled in here, so that "left out" and "written" stay
//! different things.

pub(crate) mod access;
pub(crate) mod cache;
pub(crate) mod decisions;
pub(crate) mod models;
pub(crate) mod observability;
pub(crate) mod signals;
pub(crate) mod upstream;

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::defaults;

/// Configuration of the semantic router.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Addresses that the router listens on. Loopback by default.
    pub listen: Option<access::Listen>,
    /// Who may call, and how much: `open` for everybody, or keys, trusted peers and limits.
    pub access: Option<access::Access>,
    /// The models that requests can be sent to.
    #[serde(default)]
    pub models: Vec<models::Model>,
    /// The model that answers when no decision matches. Left out: the first model of the category `general`, else the first.
    pub default_model: Option<String>,
    /// Named groups of domains; a model's `category` may be one. Built in: `reasoning` and `general`.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// How reasoning is switched on and off per family of models. Built in: `qwen3`, `deepseek`, `gpt-oss`, `gpt`.
    #[serde(default)]
    pub reasoning_families: Vec<models::ReasoningFamily>,
    /// What is measured of a request. Built in: `jailbreak` and `pii`.
    #[serde(default)]
    pub signals: Vec<signals::Signal>,
    /// What follows from the signals. Built in: `block-jailbreak` and `mask-pii`.
    #[serde(default)]
    pub decisions: Vec<decisions::Decision>,
    /// How a model is chosen when no decision says so.
    pub routing: Option<Routing>,
    /// How backends are called: timeouts, failover, retries.
    pub upstream: Option<upstream::Upstream>,
    /// Answers that are remembered.
    pub cache: Option<cache::Cache>,
    /// What happens to a request when an optional stage fails.
    pub on_failure: Option<cache::OnFailure>,
    /// What happens to answers.
    pub responses: Option<cache::Responses>,
    /// Traces, logs and metrics.
    pub observability: Option<observability::Observability>,
    /// How the router ends.
    pub shutdown: Option<Shutdown>,
}

/// How a model is chosen when no decision says so.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routing {
    /// The probability under which the domain of a prompt counts as not recognised, and the prompt as `general`. Of a
    /// group, the probabilities of its domains are added.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = defaults::MIN_CONFIDENCE))]
    pub min_confidence: Option<f64>,
    /// Whether a continued conversation keeps its model.
    #[schemars(extend("default" = "keep"))]
    pub continuation: Option<Continuation>,
    /// What is read to recognise the domain of a prompt.
    #[schemars(extend("default" = "last_user_message"))]
    pub subject: Option<signals::Subject>,
}

/// Whether a continued conversation keeps its model.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Continuation {
    /// A tool result, a short follow-up or the same session stays with the model that it began with.
    Keep,
    /// Each request is routed afresh.
    Reroute,
}

/// How the router ends.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// How long requests in flight may take to end, in seconds.
    #[schemars(range(min = 0, max = 3600), extend("default" = defaults::DRAIN_SECONDS))]
    pub drain_seconds: Option<u64>,
}
