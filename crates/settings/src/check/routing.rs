//! Routing without a decision, failures of stages, and what happens to answers.

use std::time::Duration;

pub use crate::raw::cache::FailurePolicy;

/// How a model is chosen when no decision says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    /// The probability under which a domain counts as not recognised.
    pub min_confidence: f64,
    /// Whether a continued conversation keeps its model.
    pub continuation: Continuation,
    /// What is read to recognise the domain of a prompt.
    pub subject: super::signals::Subject,
}

/// Whether a continued conversation keeps its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// It does.
    Keep,
    /// Each request is routed afresh.
    Reroute,
}

/// What happens when an optional stage fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnFailure {
    /// Recognising the domain.
    pub classification: FailurePolicy,
    /// Finding personal data.
    pub pii_detection: FailurePolicy,
    /// Finding jailbreaks.
    pub jailbreak_detection: FailurePolicy,
    /// Looking an answer up.
    pub cache_lookup: FailurePolicy,
    /// How long the checks of one request may take.
    pub check_timeout: Duration,
}

/// What happens to answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responses {
    /// Whether masked personal data is put back.
    pub unmask: bool,
}
