//! `signals` as people write them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::defaults;

/// One thing that is measured of a request. Exactly one of the keys from `keywords` on says what.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signal {
    /// The name by which decisions refer to the signal.
    #[schemars(required)]
    pub name: Option<String>,
    /// What the signal reads. Default: the last user message for `keywords` and `domain`; all user text and tool results
    /// for `jailbreak`, since injections arrive by either; everything that would be sent for `pii` and `length`.
    pub subject: Option<Subject>,
    /// Words or patterns.
    pub keywords: Option<Keywords>,
    /// What the prompt is about.
    pub domain: Option<Domain>,
    /// Personal data.
    pub pii: Option<Pii>,
    /// Attempts to override instructions.
    pub jailbreak: Option<Jailbreak>,
    /// Estimated tokens: one per four bytes of UTF-8 text, rounded up.
    pub length: Option<Length>,
    /// What kind of request it is.
    pub shape: Option<Shape>,
    /// A header of the request.
    pub header: Option<Header>,
    /// Who calls.
    pub principal: Option<Principal>,
    /// Likeness to example sentences. Not available in this version.
    pub similarity: Option<serde_json::Map<String, serde_json::Value>>,
    /// The language of the prompt. Not available in this version.
    pub language: Option<serde_json::Map<String, serde_json::Value>>,
    /// How hard the prompt is. Not available in this version.
    pub difficulty: Option<serde_json::Map<String, serde_json::Value>>,
    /// A classifier of your own. Not available in this version.
    pub classifier: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Which text of a request a signal reads.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The last message of the user.
    LastUserMessage,
    /// Every message of the user, and every tool result; for `jailbreak` also what the request says of its tools.
    UserAndToolText,
    /// Tool results only.
    ToolResults,
    /// Every message, whoever wrote it; for `jailbreak` also what the request says of its tools.
    Conversation,
}

/// Words or patterns. `all` must all be found; of `any` and `regex` together, one.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keywords {
    /// One of these.
    #[serde(default)]
    pub any: Vec<String>,
    /// All of these.
    #[serde(default)]
    pub all: Vec<String>,
    /// One of these regular expressions.
    #[serde(default)]
    pub regex: Vec<String>,
    /// Whether upper and lower case differ.
    #[schemars(extend("default" = false))]
    pub case_sensitive: Option<bool>,
    /// Whether a keyword must stand as a word of its own.
    #[schemars(extend("default" = true))]
    pub whole_words: Option<bool>,
}

/// What the prompt is about.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Domain {
    /// Domains or groups of domains.
    #[schemars(required)]
    pub any: Option<Vec<String>>,
    /// The probability from which it counts. Default: `routing.min_confidence`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_confidence: Option<f64>,
}

/// Personal data.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pii {
    /// The types looked for. Left out: all.
    pub types: Option<Vec<String>>,
    /// The confidence from which a finding counts.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = defaults::PII_THRESHOLD))]
    pub threshold: Option<f64>,
}

/// Attempts to override instructions.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jailbreak {
    /// The probability from which it counts.
    #[schemars(range(min = 0.0, max = 1.0), extend("default" = defaults::JAILBREAK_THRESHOLD))]
    pub threshold: Option<f64>,
}

/// Estimated tokens.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Length {
    /// At least so many tokens.
    pub min_tokens: Option<u64>,
    /// At most so many tokens.
    pub max_tokens: Option<u64>,
}

/// What kind of request it is. All that is written must hold.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    /// Whether the request offers tools.
    pub tools: Option<bool>,
    /// Whether it has images.
    pub images: Option<bool>,
    /// Whether it asks for a response format.
    pub response_format: Option<bool>,
    /// Whether it asks for a stream.
    pub stream: Option<bool>,
    /// At least so many messages of the user.
    pub min_turns: Option<u32>,
    /// At most so many messages of the user.
    pub max_turns: Option<u32>,
}

/// A header of the request. Without `any` and `regex`: that it is there.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// The header's name.
    #[schemars(required)]
    pub name: Option<String>,
    /// Values, to the letter.
    #[serde(default)]
    pub any: Vec<String>,
    /// A regular expression that the value must match.
    pub regex: Option<String>,
}

/// Who calls.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Principal {
    /// Names of keys, or users named by trusted peers.
    #[schemars(required)]
    pub any: Option<Vec<String>>,
}
