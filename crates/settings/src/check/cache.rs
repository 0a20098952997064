//! Answers that are remembered.

use std::time::Duration;

/// Answers that are remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// On or off, where a decision does not say otherwise.
    pub enabled: bool,
    /// Who shares answers.
    pub scope: CacheScope,
    /// The similarity from which a stored answer counts; 1 is the same text after normalisation.
    pub threshold: f64,
    /// How long an answer is good for.
    pub time_to_live: Duration,
    /// The most answers.
    pub max_entries: u64,
    /// The most bytes, all answers together.
    pub max_bytes: u64,
    /// The largest single answer, in bytes.
    pub max_entry_bytes: u64,
    /// Whether requests that offer tools count.
    pub tools: bool,
    /// Whether requests with images count.
    pub images: bool,
    /// Whether requests for several answers count.
    pub several_choices: bool,
    /// The highest temperature that counts.
    pub max_temperature: f64,
}

/// Who shares answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Everybody.
    Global,
    /// Each principal has its own.
    Principal,
    /// Callers with the same value of this header; the name is in lower case.
    Header(String),
}
