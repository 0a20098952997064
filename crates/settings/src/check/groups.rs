//! Groups of domains.

/// A named group of domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name that a model's `category` or a `domain` signal may use.
    pub name: String,
    /// Its domains, words of [`super::vocabulary::DOMAINS`].
    pub domains: Vec<&'static str>,
    /// Whether prompts of low confidence belong to it too; true of `general` only.
    pub takes_low_confidence: bool,
}
