//! `decisions` as people write them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// What follows from the signals. Exactly one of `route`, `block` and `mask`.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// The decision's name; it appears in traces. `block-jailbreak` and `mask-pii` replace the built-in ones.
    #[schemars(required)]
    pub name: Option<String>,
    /// Higher ones are tried first; equal ones in the order of the file. The built-in ones have 1000 and 900.
    #[schemars(extend("default" = 0))]
    pub priority: Option<i32>,
    /// `false` switches the decision off, built-in ones too.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// When it holds: the name of a signal, or `any`, `all`, `not` over expressions. Left out: always.
    pub when: Option<Expression>,
    /// Sends the request to one of these models.
    pub route: Option<Route>,
    /// Refuses the request.
    pub block: Option<Block>,
    /// Masks personal data and goes on to the next decision.
    pub mask: Option<Mask>,
}

/// A boolean expression over signals.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Expression {
    /// The name of a signal.
    Signal(String),
    /// One of `any`, `all`, `not`.
    Compound(Box<Compound>),
}

/// Exactly one of `any`, `all`, `not`.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compound {
    /// One of these holds.
    pub any: Option<Vec<Expression>>,
    /// All of these hold.
    pub all: Option<Vec<Expression>>,
    /// This does not hold.
    pub not: Option<Expression>,
}

/// Sends the request to one of several models.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// The candidates: names of models, or mappings with a weight or a score.
    #[schemars(required)]
    pub models: Option<Vec<Candidate>>,
    /// Whether the model shall reason. Left out: as the client asked.
    pub reasoning: Option<Reasoning>,
    /// A system prompt for the model.
    pub system_prompt: Option<SystemPrompt>,
    /// Whether answers are remembered, over `cache`.
    pub cache: Option<RouteCache>,
    /// Changes to the headers sent to the backend.
    pub headers: Option<HeaderChanges>,
}

/// One candidate.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Candidate {
    /// The name of a model.
    Name(String),
    /// A model with a weight or a score.
    Block(CandidateBlock),
}

/// One candidate, in the long form.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct CandidateBlock {
    /// The name of a model.
    #[schemars(required)]
    pub model: Option<String>,
    /// The share of requests, against the other candidates of the same score.
    #[schemars(range(min = 0, max = 10000))]
    pub weight: Option<u32>,
    /// How good the model is for this; the highest wins, the others are for failover.
    pub score: Option<f64>,
}

/// Whether the model shall reason.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Reasoning {
    /// `true` or `false`.
    Switch(bool),
    /// An effort, or `on` or `off`.
    Effort(ReasoningWord),
}

/// An effort, or `on` or `off`.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasoningWord {
    /// Reasoning, the model's own effort.
    On,
    /// No reasoning.
    Off,
    /// The least.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// A system prompt for the model.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemPrompt {
    /// What happens to the client's own.
    #[schemars(extend("default" = "prepend"))]
    pub mode: Option<PromptMode>,
    /// The text.
    #[schemars(required)]
    pub text: Option<String>,
}

/// What happens to the client's own system prompt.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PromptMode {
    /// Ours stands instead.
    Replace,
    /// Ours stands before it.
    Prepend,
}

/// Whether answers are remembered, for one decision.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteCache {
    /// On or off.
    pub enabled: Option<bool>,
    /// How long an answer is good for, in seconds.
    #[schemars(range(min = 1))]
    pub ttl_seconds: Option<u64>,
    /// The similarity from which a stored answer counts.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub threshold: Option<f64>,
}

/// Changes to the headers sent to the backend.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderChanges {
    /// Headers set, over what the client sent.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Headers removed.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Refuses the request.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    /// How: an error with status 403, or a completion that carries the message.
    #[schemars(extend("default" = "error"))]
    pub answer: Option<BlockAnswer>,
    /// What the client reads. Left out: a sentence that fits the reason.
    pub message: Option<String>,
}

/// How a refusal is answered.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum BlockAnswer {
    /// Status 403 with an error object.
    Error,
    /// Status 200 with a completion that carries the message.
    Completion,
}

/// Masks personal data.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mask {
    /// The types masked. Left out: those that no candidate may see.
    pub types: Option<Vec<String>>,
}
