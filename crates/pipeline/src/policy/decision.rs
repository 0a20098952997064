//! Decisions: what follows from the signals.

use std::sync::Arc;
use std::time::Duration;

/// A rule: when the expression holds, the action follows.
#[derive(Debug)]
pub struct Decision {
    /// Its name, which appears in traces.
    pub name: Arc<str>,
    /// When it holds.
    pub when: Expression,
    /// What follows.
    pub action: Action,
}

/// A boolean expression over signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Always.
    Always,
    /// The signal with this index.
    Signal(usize),
    /// One of these.
    Any(Vec<Expression>),
    /// All of these.
    All(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
}

impl Expression {
    /// Evaluates, asking `signal` for each signal only where its value matters.
    pub fn holds(&self, signal: &mut impl FnMut(usize) -> bool) -> bool {
        match self {
            Expression::Always => true,
            Expression::Signal(index) => signal(*index),
            Expression::Any(parts) => parts.iter().any(|part| part.holds(signal)),
            Expression::All(parts) => parts.iter().all(|part| part.holds(signal)),
            Expression::Not(part) => !part.holds(signal),
        }
    }

    /// Calls `visit` with the index of every signal in it.
    pub fn signals(&self, visit: &mut impl FnMut(usize)) {
        match self {
            Expression::Signal(index) => visit(*index),
            Expression::Any(parts) | Expression::All(parts) => {
                parts.iter().for_each(|part| part.signals(visit));
            }
            Expression::Not(part) => part.signals(visit),
            Expression::Always => {}
        }
    }
}

/// What a decision does.
#[derive(Debug)]
pub enum Action {
    /// Sends the request to one of several models; ends the search.
    Route(Route),
    /// Refuses the request; ends the search.
    Block(Block),
    /// Masks personal data and goes on to the next decision. Types; `None` means those that no candidate may see.
    Mask(Option<Vec<&'static str>>),
}

/// Where a request goes, and how it is changed on the way.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// The candidates, at least one.
    pub candidates: Vec<Candidate>,
    /// Whether the model shall reason; `None` leaves it to the client.
    pub reasoning: Option<ReasoningChoice>,
    /// A system prompt.
    pub system_prompt: Option<SystemPrompt>,
    /// Over the cache's own settings.
    pub cache: CacheOverride,
    /// Changes of the headers sent on.
    pub headers: HeaderChanges,
}

/// One candidate of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Index of the model.
    pub model: usize,
    /// The highest wins, the others are for failover.
    pub score: f32,
    /// Share of requests among candidates of the same score.
    pub weight: u32,
}

/// Whether a model shall reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasoningChoice {
    /// On or off.
    pub enabled: bool,
    /// `low`, `medium`, `high`, …
    pub effort: Option<Arc<str>>,
}

/// A system prompt to inject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemPrompt {
    /// What happens to the client's own.
    pub mode: dialects::edit::SystemPromptMode,
    /// The text.
    pub text: Arc<str>,
}

/// What a decision says about the cache; `None` leaves the cache's own setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CacheOverride {
    /// On or off.
    pub enabled: Option<bool>,
    /// How long an answer is good for.
    pub ttl: Option<Duration>,
}

/// Changes of the headers sent to a backend.
#[derive(Debug, Clone, Default)]
pub struct HeaderChanges {
    /// Set, over what the client sent; names in lower case.
    pub set: Vec<(Arc<str>, Arc<str>)>,
    /// Removed; names in lower case.
    pub remove: Vec<Arc<str>>,
}

/// How a refusal is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockAnswer {
    /// An error with status 403.
    Error,
    /// A completion that carries the message.
    Completion,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How it is answered.
    pub answer: BlockAnswer,
    /// What the client reads; `None` for a sentence that fits the reason.
    pub message: Option<Arc<str>>,
}
