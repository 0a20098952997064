//! What each stage found: one typed struct per span, attributes by other names.
//!
//! Names that come from the configuration are `Arc<str>`, names of the program are `&'static str`, and only
//! [`Text`] holds what came from outside.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Text;

/// What a stage found. The variant always fits the span's stage.
#[derive(Clone, Debug)]
pub enum Finding {
    /// The stage has not reported (it is open, failed or was cancelled).
    Pending,
    /// See [`Classification`].
    Classification(Classification),
    /// See [`PiiDetection`].
    PiiDetection(PiiDetection),
    /// See [`JailbreakDetection`].
    JailbreakDetection(JailbreakDetection),
    /// See [`CacheLookup`].
    CacheLookup(CacheLookup),
    /// See [`RoutingDecision`]. Boxed: it is by far the largest.
    RoutingDecision(Box<RoutingDecision>),
    /// See [`BackendSelection`].
    BackendSelection(BackendSelection),
    /// See [`SystemPromptInjection`].
    SystemPromptInjection(SystemPromptInjection),
    /// See [`UpstreamRequest`].
    UpstreamRequest(Box<UpstreamRequest>),
    /// See [`ResponseProcessing`].
    ResponseProcessing(ResponseProcessing),
    /// See [`CacheStore`].
    CacheStore(CacheStore),
}

/// What the prompt is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The most probable category.
    pub category: Arc<str>,
    /// Its probability, 0 to 1.
    pub confidence: f32,
    /// The runner-up.
    pub second_category: Arc<str>,
    /// Its probability, 0 to 1.
    pub second_confidence: f32,
    /// Which classifier said so.
    pub classifier: Arc<str>,
}

/// The final outcome of a security check, known when routing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityAction {
    /// Nothing was found, or what was found may pass.
    Allowed,
    /// Personal data was replaced before the backend saw it.
    Masked,
    /// Found and only reported.
    Reported,
    /// The request was refused.
    Blocked,
}

impl SecurityAction {
    /// Value of `security.action`.
    pub fn as_str(self) -> &'static str {
        match self {
            SecurityAction::Allowed => "allowed",
            SecurityAction::Masked => "masked",
            SecurityAction::Reported => "reported",
            SecurityAction::Blocked => "blocked",
        }
    }
}

/// Personal data in the prompt: its kinds and number, never its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PiiDetection {
    /// Distinct types, in order of their first occurrence.
    pub types: Vec<&'static str>,
    /// Number of places.
    pub count: u32,
    /// What became of the request.
    pub action: SecurityAction,
}

/// Attempts to turn the model against its instructions.
#[derive(Clone, Debug, PartialEq)]
pub struct JailbreakDetection {
    /// Whether the confidence reached the threshold.
    pub detected: bool,
    /// Which kind, when detected.
    pub kind: Option<&'static str>,
    /// Calibrated probability, 0 to 1.
    pub confidence: f32,
    /// What became of the request.
    pub action: SecurityAction,
}

/// Whether the answer was known.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheLookup {
    /// Found and fresh.
    pub hit: bool,
    /// Similarity of the best entry, 0 to 1; 1 for an exact hit; absent if nothing was compared.
    pub similarity: Option<f32>,
    /// `embedded` or `qdrant`.
    pub backend: &'static str,
    /// `global`, `principal` or `header`.
    pub scope: &'static str,
    /// Age of the entry that was found, in milliseconds.
    pub age_ms: Option<f64>,
}

/// How a model came to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoutingStrategy {
    /// The router chose.
    Auto,
    /// The client named a configured model.
    Specified,
    /// The conversation keeps the model it has.
    Continued,
}

impl RoutingStrategy {
    /// Value of `routing.strategy`.
    pub fn as_str(self) -> &'static str {
        match self {
            RoutingStrategy::Auto => "auto",
            RoutingStrategy::Specified => "specified",
            RoutingStrategy::Continued => "continued",
        }
    }
}

/// Why this model: data, rendered as a sentence only at the exits.
#[derive(Clone, Debug, PartialEq)]
pub enum RoutingReason {
    /// The client asked for the model by name.
    Specified,
    /// A decision of the configuration matched.
    Decision {
        /// Its name.
        name: Arc<str>,
        /// The signals that made it match.
        because: Arc<str>,
    },
    /// The model serves the category itself.
    Category {
        /// The category.
        name: Arc<str>,
        /// Its probability.
        confidence: f32,
    },
    /// The model serves the group that the category belongs to.
    Group {
        /// The group.
        group: Arc<str>,
        /// Its probability: that of its categories together.
        confidence: f32,
        /// The most probable category of it.
        category: Arc<str>,
        /// The category's probability.
        category_confidence: f32,
    },
    /// No category was probable enough.
    LowConfidence {
        /// The most probable category.
        category: Arc<str>,
        /// Its probability.
        confidence: f32,
        /// What it would have had to reach.
        threshold: f32,
    },
    /// Nothing else applied.
    Default,
    /// The door could not see the prompt, so that nothing could be asked of it.
    Unseen,
    /// The same conversation was answered by this model before.
    Continued {
        /// `tool_result`, `session`, `follow_up` or `previous_response`.
        by: &'static str,
    },
}

impl RoutingReason {
    /// Value of `routing.reason.code`: low cardinality.
    pub fn code(&self) -> &'static str {
        match self {
            RoutingReason::Specified => "specified",
            RoutingReason::Decision { .. } => "decision_matched",
            RoutingReason::Category { .. } => "category_matched",
            RoutingReason::Group { .. } => "group_matched",
            RoutingReason::LowConfidence { .. } => "low_confidence",
            RoutingReason::Default => "default_model",
            RoutingReason::Unseen => "prompt_unseen",
            RoutingReason::Continued { .. } => "conversation_continued",
        }
    }

    /// Value of `routing.reason`: a sentence for people.
    pub fn sentence(&self, model: &str) -> String {
        match self {
            RoutingReason::Specified => format!("the request names {model}"),
            RoutingReason::Decision { name, because } if because.is_empty() => {
                format!("decision {name} matched and chose {model}")
            }
            RoutingReason::Decision { name, because } => {
                format!("decision {name} matched ({because}) and chose {model}")
            }
            RoutingReason::Category { name, confidence } => {
                format!("the prompt is about {name} ({confidence:.2}), which {model} serves")
            }
            RoutingReason::Group { group, confidence, category, category_confidence } => format!(
                "the prompt is about {category} ({category_confidence:.2}), part of {group} ({confidence:.2}), which {model} serves"
            ),
            RoutingReason::LowConfidence { category, confidence, threshold } => format!(
                "no category is probable enough (best is {category} with {confidence:.2}, needed is {threshold:.2}), so {model} answers"
            ),
            RoutingReason::Unseen => format!("the prompt was not in sight, so the default {model} answers"),
            RoutingReason::Default => format!("no decision matched, so the default model {model} answers"),
            RoutingReason::Continued { by } => {
                format!("the conversation goes on with {model} ({})", by.replace('_', " "))
            }
        }
    }
}

/// Whether and how the chosen model reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// On or off.
    pub enabled: bool,
    /// `low`, `medium`, `high` or what the family knows.
    pub effort: Option<Arc<str>>,
    /// The family that says how it is switched.
    pub family: Option<Arc<str>>,
}

/// The choice among candidates.
#[derive(Clone, Debug)]
pub struct RoutingDecision {
    /// How the model came to be chosen.
    pub strategy: RoutingStrategy,
    /// Name of the decision that matched, `default` if none.
    pub decision: Arc<str>,
    /// Why.
    pub reason: RoutingReason,
    /// What the client asked for.
    pub original_model: Option<Text>,
    /// What it gets; `None` when every candidate was rejected.
    pub selected_model: Option<Arc<str>>,
    /// Those that could have answered, best first, with their scores.
    pub candidates: Vec<(Arc<str>, f32)>,
    /// Those that could not, with the reason's code.
    pub rejected: Vec<(Arc<str>, &'static str)>,
    /// Reasoning of the chosen model.
    pub reasoning: Reasoning,
}

/// The endpoint that takes the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSelection {
    /// Its name; `None` when none could take it.
    pub endpoint: Option<Arc<str>>,
    /// `http(s)://host:port`.
    pub address: Option<Arc<str>>,
    /// `weighted` or `least_busy`.
    pub strategy: &'static str,
    /// How many could have taken it.
    pub candidates: u32,
    /// Those that could not, with the reason's code.
    pub excluded: Vec<(Arc<str>, &'static str)>,
}

/// The edit of the system prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemPromptInjection {
    /// Whether the request was changed.
    pub injected: bool,
    /// `replace`, `prepend` or `none`.
    pub mode: &'static str,
    /// Length of what was added, in bytes.
    pub length_bytes: u64,
}

/// One attempt at one endpoint.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// The model as the backend knows it.
    pub model: Arc<str>,
    /// Who runs it, such as `vllm` or `openai`.
    pub provider: Arc<str>,
    /// Its version, where configured.
    pub version: Option<Arc<str>>,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// Host of the endpoint.
    pub server_address: Arc<str>,
    /// Port of the endpoint.
    pub server_port: u16,
    /// Path of the call.
    pub path: Arc<str>,
    /// `chat`, `text_completion` or `embeddings`.
    pub operation: &'static str,
    /// 1 for the first.
    pub attempt: u32,
    /// Status of the answer, once its head came.
    pub http_status: Option<u16>,
    /// What the request asked for.
    pub parameters: Parameters,
    /// What the answer said.
    pub answer: Answer,
    /// US dollars, where prices are configured.
    pub cost: Option<Cost>,
    /// Time for which the client took no bytes while the backend had some, in milliseconds.
    pub stalled_by_client_ms: f64,
}

/// Parameters of a request that shape the answer. Absent means that the client did not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Limit of completion tokens.
    pub max_tokens: Option<u64>,
    /// Number of choices.
    pub choice_count: Option<u64>,
    /// Seed.
    pub seed: Option<i64>,
    /// Frequency penalty.
    pub frequency_penalty: Option<f64>,
    /// Presence penalty.
    pub presence_penalty: Option<f64>,
}

/// What an answer said about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of the answer.
    pub id: Option<Text>,
    /// The model that the provider names.
    pub model: Option<Text>,
    /// Distinct finish reasons.
    pub finish_reasons: Vec<Text>,
    /// Token counts, where the backend gave them.
    pub usage: Option<Usage>,
    /// Nanoseconds from the root's start to the first chunk with content.
    pub first_token_ns: Option<u64>,
    /// Nanoseconds from the root's start to the last chunk with content.
    pub last_token_ns: Option<u64>,
    /// Chunks with content.
    pub output_chunks: u64,
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens of the completion.
    pub completion: u64,
    /// Prompt tokens that the backend had cached.
    pub cached: Option<u64>,
    /// Completion tokens spent on reasoning.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Prompt and completion together.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// What an answer cost, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// For the prompt.
    pub prompt: f64,
    /// For the completion.
    pub completion: f64,
}

impl Cost {
    /// Both together.
    pub fn total(&self) -> f64 {
        self.prompt + self.completion
    }
}

/// What was done with the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseProcessing {
    /// Placeholders put back into the answer.
    pub unmasked: u32,
    /// Bytes that came from the backend.
    pub bytes_in: u64,
    /// Bytes that went to the client.
    pub bytes_out: u64,
}

/// What became of the answer in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStore {
    /// Whether it is stored.
    pub stored: bool,
    /// `stored`, or why not.
    pub reason: Cow<'static, str>,
    /// Size of the entry in bytes.
    pub bytes: u64,
}
