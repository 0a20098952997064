//! What the operator decided, checked and resolved: plain data that one request after another reads.
//!
//! It is not the configuration file: names are resolved, defaults are filled in, expressions refer to signals by
//! index. Invariant: every index in a policy is in range; whoever builds one has checked that.

mod decision;
mod model;
mod signal;

use std::sync::Arc;
use std::time::Duration;

pub use decision::{
    Action, Block, BlockAnswer, CacheOverride, Candidate, Decision, Expression, HeaderChanges,
    ReasoningChoice, Route, SystemPrompt,
};
pub use model::{
    Address, Credentials, Endpoint, FamilySwitch, Model, PiiAllowance, Price, ReasoningFamily, Secret,
    Timeouts,
};
pub use signal::{Boundaries, Case, HeaderTest, Keywords, Measure, ShapeTest, Signal, Subject};

/// Everything that decides what happens to a request.
#[derive(Debug)]
pub struct Policy {
    /// Short hash of the configuration.
    pub version: Arc<str>,
    /// Named measurements.
    pub signals: Vec<Signal>,
    /// Decisions, highest priority first.
    pub decisions: Vec<Decision>,
    /// Models, in the order of the configuration.
    pub models: Vec<Arc<Model>>,
    /// Index of the model that answers when nothing else applies; `None` without models.
    pub default_model: Option<usize>,
    /// Groups of categories.
    pub groups: Vec<Group>,
    /// Probability that a category needs in order to route.
    pub category_threshold: f32,
    /// What the classifier reads when routing by category.
    pub category_subject: Subject,
    /// The checks.
    pub guards: Guards,
    /// Remembering answers.
    pub cache: CachePolicy,
    /// Keeping the model of a conversation.
    pub conversations: ConversationPolicy,
    /// When another attempt follows a failed one.
    pub failover: Failover,
    /// The answer of a model is read up to this size, in bytes.
    pub answer_limit_bytes: usize,
    /// Whether placeholders in answers become the caller's own data again.
    pub unmask: bool,
}

/// A name for several categories, such as `reasoning`.
#[derive(Debug, Clone)]
pub struct Group {
    /// The name.
    pub name: Arc<str>,
    /// Its categories.
    pub categories: Vec<Arc<str>>,
    /// Whether prompts without a probable category belong to it.
    pub takes_low_confidence: bool,
}

/// From where on the checks report something, and what follows when they fail. They run where a decision or a model's
/// policy asks for them; thresholds of decisions are their signals' own.
#[derive(Debug, Clone)]
pub struct Guards {
    /// Confidence from which an entity counts, 0 to 1.
    pub pii_threshold: f32,
    /// Probability from which a jailbreak counts, 0 to 1.
    pub jailbreak_threshold: f32,
    /// How long the checks of one request may take, side by side; one that has not ended then has failed.
    pub time_limit: Duration,
    /// What follows when a stage fails.
    pub on_failure: OnFailure,
}

/// What follows when an optional stage fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The request is refused.
    Refuse,
    /// The request goes on without the stage, visibly on its span.
    Skip,
}

impl FailurePolicy {
    /// Value of `semantic_router.on_failure`.
    pub fn as_str(self) -> &'static str {
        match self {
            FailurePolicy::Refuse => "refuse",
            FailurePolicy::Skip => "skip",
        }
    }
}

/// [`FailurePolicy`] per stage.
#[derive(Debug, Clone, Copy)]
pub struct OnFailure {
    /// Classification.
    pub classification: FailurePolicy,
    /// PII detection.
    pub pii_detection: FailurePolicy,
    /// Jailbreak detection.
    pub jailbreak_detection: FailurePolicy,
    /// Cache lookup.
    pub cache_lookup: FailurePolicy,
}

/// Who may see a remembered answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheScope {
    /// Everybody.
    Global,
    /// The principal that asked.
    Principal,
    /// Everybody with the same value of this header (lower-case name); without it, the principal.
    Header(Arc<str>),
}

impl CacheScope {
    /// Value of `cache.scope`.
    pub fn as_str(&self) -> &'static str {
        match self {
            CacheScope::Global => "global",
            CacheScope::Principal => "principal",
            CacheScope::Header(_) => "header",
        }
    }
}

/// Which answers are remembered, for whom and how long.
#[derive(Debug, Clone)]
pub struct CachePolicy {
    /// Whether any are.
    pub enabled: bool,
    /// For whom.
    pub scope: CacheScope,
    /// How long.
    pub ttl: Duration,
    /// Largest answer, in bytes.
    pub max_entry_bytes: usize,
    /// Also for requests with tools.
    pub allow_tools: bool,
    /// Also for requests with images, sound or files.
    pub allow_images: bool,
    /// Also for requests that want several choices.
    pub allow_several_choices: bool,
    /// Highest temperature; a request that names none counts as 0.
    pub max_temperature: f64,
}

/// Whether a conversation keeps its model.
#[derive(Debug, Clone, Copy)]
pub struct ConversationPolicy {
    /// Whether it does.
    pub enabled: bool,
    /// A follow-up of at most this many words counts as a continuation.
    pub short_follow_up_words: usize,
}

/// When another attempt follows a failed one.
#[derive(Debug, Clone)]
pub struct Failover {
    /// Statuses of a backend that another may answer better.
    pub statuses: Vec<u16>,
    /// Attempts of one request, the first included.
    pub max_attempts: u32,
}

impl Policy {
    /// Names of headers that signals and the cache read, in lower case: all that a door has to pass in.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        let tested = self.signals.iter().filter_map(|signal| match &signal.measure {
            Measure::Header(test) => Some(&*test.name),
            _ => None,
        });
        let scope = match &self.cache.scope {
            CacheScope::Header(name) => Some(&**name),
            CacheScope::Global | CacheScope::Principal => None,
        };
        tested.chain(scope)
    }

    /// The model with this name.
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.models.iter().find(|model| &*model.name == name)
    }
}
