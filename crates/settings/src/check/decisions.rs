//! What follows from the signals.

use std::time::Duration;

use super::models::ModelIndex;
use super::signals::SignalIndex;
pub use crate::raw::decisions::{BlockAnswer, PromptMode};

/// One decision.
///
/// Decisions are gone through from the first to the last. A matching [`Action::Mask`] is noted and the walk goes on; the
/// first matching [`Action::Block`] or [`Action::Route`] ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Its name; unique.
    pub name: String,
    /// Higher first.
    pub priority: i32,
    /// Who wrote it.
    pub author: Author,
    /// When it holds.
    pub when: Expression,
    /// What happens.
    pub action: Action,
}

/// Who wrote a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The program.
    BuiltIn,
    /// The file.
    File,
}

/// A boolean expression over signals, at most 32 levels deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Always true.
    Always,
    /// The signal was found.
    Signal(SignalIndex),
    /// One of these; never empty.
    Any(Vec<Expression>),
    /// All of these; never empty.
    All(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The request goes to one of several models.
    Route(Route),
    /// The request is refused.
    Block(Block),
    /// Personal data is masked.
    Mask(Mask),
}

/// Where a request goes, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The candidates; at least one, best score first.
    pub candidates: Vec<Candidate>,
    /// Whether the model shall reason; `None` is as the client asked.
    pub reasoning: Option<Reasoning>,
    /// A system prompt for the model.
    pub system_prompt: Option<SystemPrompt>,
    /// Whether answers are remembered, `cache` filled in.
    pub cache: RouteCache,
    /// Headers set on the request to the backend; names are valid and in lower case.
    pub set_headers: Vec<(String, String)>,
    /// Headers removed from the request to the backend; names in lower case.
    pub remove_headers: Vec<String>,
}

/// One candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The model.
    pub model: ModelIndex,
    /// The share of requests against candidates of the same score.
    pub weight: u32,
    /// How good it is for this; 0 where the file says nothing.
    pub score: f64,
}

/// Whether a model shall reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// It shall not.
    Off,
    /// It shall; `None` is the model's own effort.
    On(Option<Effort>),
}

/// How much a model shall reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The least.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

impl Effort {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A system prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemPrompt {
    /// What happens to the client's own.
    pub mode: PromptMode,
    /// The text; not empty.
    pub text: String,
}

/// Whether answers are remembered, for one decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteCache {
    /// On or off.
    pub enabled: bool,
    /// How long an answer is good for.
    pub time_to_live: Duration,
    /// The similarity from which a stored answer counts.
    pub threshold: f64,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// How it is answered.
    pub answer: BlockAnswer,
    /// Why, by the signals that the decision names.
    pub reason: BlockReason,
    /// What the client reads.
    pub message: String,
}

/// Why a decision refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// A jailbreak signal is in its expression: `jailbreak_detected`.
    Jailbreak,
    /// A PII signal is: `pii_blocked`.
    Pii,
    /// Another rule of the operator.
    Policy,
}

/// What is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Types that no candidate may see.
    WhatNoCandidateMaySee,
    /// These, words of [`super::vocabulary::PII_TYPES`].
    Types(Vec<&'static str>),
}
