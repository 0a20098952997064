//! `models` and `reasoning_families` as people write them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::upstream::Timeouts;
use crate::secret::Secret;

/// One model, and where it is served.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// The name by which clients and decisions call the model.
    #[schemars(required)]
    pub name: Option<String>,
    /// The domain or group of domains that this model is for. Enough for routing by itself, without a decision.
    pub category: Option<String>,
    /// Where the model is served.
    #[schemars(required)]
    pub endpoints: Option<Vec<Endpoint>>,
    /// The model's name at its backends, where it differs.
    pub upstream_name: Option<String>,
    /// Who provides the model (`openai`, `anthropic`, `vllm`); it appears in traces.
    pub provider: Option<String>,
    /// The model's version; it appears in traces.
    pub version: Option<String>,
    /// The key sent to the endpoints: `${VARIABLE}` keeps it out of the file.
    pub api_key: Option<Secret>,
    /// `passthrough` hands the caller's own `authorization` on.
    pub credentials: Option<Credentials>,
    /// Headers added to each request to the endpoints.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// What comes before `/v1` in the path at the endpoints.
    pub path_prefix: Option<String>,
    /// The APIs that the endpoints speak. Default: chat_completions, completions, embeddings.
    pub dialects: Option<Vec<Dialect>>,
    /// Whether token counts of streams are asked for. Default: ask.
    #[schemars(extend("default" = "ask"))]
    pub usage: Option<Usage>,
    /// Whether the endpoints are our own: only those see the caller's baggage.
    #[schemars(extend("default" = false))]
    pub internal: Option<bool>,
    /// Whether the endpoints take names of models that this file does not list.
    #[schemars(extend("default" = false))]
    pub any_model: Option<bool>,
    /// Timeouts of this model, over those of `upstream`.
    pub timeouts: Option<Timeouts>,
    /// Bounds of this model.
    pub limits: Option<ModelLimits>,
    /// The most tokens of prompt and answer together. Longer prompts go elsewhere.
    #[schemars(range(min = 1))]
    pub context_length: Option<u64>,
    /// Prices, in US dollars per million tokens.
    pub pricing: Option<Pricing>,
    /// How reasoning is switched on and off: the name of a family.
    pub reasoning_family: Option<String>,
    /// Which personal data the model may see. Default: all.
    pub pii: Option<PiiPolicy>,
}

/// One place where a model is served.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// The endpoint's name; it appears in traces and in `x-gateway-destination-endpoint`.
    #[schemars(required)]
    pub name: Option<String>,
    /// `http://host:port` or `https://host:port`.
    #[schemars(required)]
    pub address: Option<String>,
    /// The share of requests, against the other endpoints of the model.
    #[schemars(range(min = 0, max = 10000), extend("default" = 1))]
    pub weight: Option<u32>,
    /// What comes before `/v1` in the path, over the model's.
    pub path_prefix: Option<String>,
    /// The key of this endpoint, over the model's.
    pub api_key: Option<Secret>,
    /// Credentials of this endpoint, over the model's.
    pub credentials: Option<Credentials>,
    /// Headers of this endpoint, besides the model's.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Over the model's `internal`.
    pub internal: Option<bool>,
    /// Over the model's `any_model`.
    pub any_model: Option<bool>,
    /// The most requests at once to this endpoint.
    #[schemars(range(min = 1))]
    pub max_parallel: Option<u32>,
}

/// Whose key goes to a backend.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Credentials {
    /// No key, or `api_key` where there is one.
    Own,
    /// The caller's own `authorization`.
    Passthrough,
}

/// An API that an endpoint speaks.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/responses`
    Responses,
    /// `/v1/messages`
    Messages,
}

/// Whether token counts of streams are asked for.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// `stream_options.include_usage` is added, and its extra chunk removed again.
    Ask,
    /// The request stays as it came; counts are read where they appear.
    Observe,
}

/// Bounds of a model.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelLimits {
    /// The most requests at once to all endpoints of the model. Left out: no bound of its own.
    #[schemars(range(min = 1))]
    pub max_parallel: Option<u32>,
}

/// Prices, in US dollars per million tokens.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pricing {
    /// Tokens of the prompt.
    #[schemars(required, range(min = 0.0))]
    pub prompt: Option<f64>,
    /// Tokens of the prompt that the backend had cached. Left out: the price of the prompt.
    #[schemars(range(min = 0.0))]
    pub cached: Option<f64>,
    /// Tokens of the answer.
    #[schemars(required, range(min = 0.0))]
    pub completion: Option<f64>,
}

/// Which personal data a model may see.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct PiiPolicy {
    /// What holds for types that are not listed. Left out: `deny` where `allow` lists some, else `allow`.
    pub default: Option<Permission>,
    /// Types that the model may see.
    pub allow: Option<Vec<String>>,
    /// Types that the model may not see.
    pub deny: Option<Vec<String>>,
}

/// Whether something may pass.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Permission {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// How reasoning is switched on and off for a family of models.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReasoningFamily {
    /// The name that `models[].reasoning_family` refers to.
    #[schemars(required)]
    pub name: Option<String>,
    /// The field of the request, dotted: `chat_template_kwargs.enable_thinking`, `reasoning_effort`.
    #[schemars(required)]
    pub parameter: Option<String>,
    /// What the field holds. Default: switch.
    #[schemars(extend("default" = "switch"))]
    pub kind: Option<FamilyKind>,
}

/// What the reasoning field of a request holds.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FamilyKind {
    /// `true` or `false`.
    Switch,
    /// An effort: `low`, `medium`, `high`; the field is left out when reasoning is off.
    Effort,
}
