//! What is measured of a request.

pub use crate::raw::signals::Subject;

/// The place of a signal in [`super::Settings::signals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalIndex(pub usize);

/// One thing that is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its name; unique.
    pub name: String,
    /// Which text it reads. Of no meaning to `shape`, `header` and `principal`.
    pub subject: Subject,
    /// What is measured.
    pub kind: SignalKind,
}

/// What is measured, with its thresholds.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalKind {
    /// Words or patterns: all of `all`, and one of `any` and `regex` together where there are some.
    Keywords {
        /// One of these.
        any: Vec<String>,
        /// All of these.
        all: Vec<String>,
        /// One of these; each compiles.
        regex: Vec<String>,
        /// Whether upper and lower case differ.
        case_sensitive: bool,
        /// Whether a keyword must stand as a word of its own.
        whole_words: bool,
    },
    /// One of `domains` with at least `min_confidence`, their probabilities added.
    Domain {
        /// Words of [`super::vocabulary::DOMAINS`], groups resolved, each once.
        domains: Vec<&'static str>,
        /// Whether a prompt of low confidence counts (a group of that sort is among them).
        takes_low_confidence: bool,
        /// The probability from which it counts.
        min_confidence: f64,
    },
    /// Personal data of one of these types.
    Pii {
        /// Words of [`super::vocabulary::PII_TYPES`]; never empty.
        types: Vec<&'static str>,
        /// The confidence from which a finding counts.
        threshold: f64,
    },
    /// An attempt to override instructions.
    Jailbreak {
        /// The probability from which it counts.
        threshold: f64,
    },
    /// Estimated tokens within bounds, both included.
    Length {
        /// At least.
        min_tokens: u64,
        /// At most; `u64::MAX` where the file says nothing.
        max_tokens: u64,
    },
    /// What kind of request it is; `None` does not matter.
    Shape {
        /// Offers tools.
        tools: Option<bool>,
        /// Has images.
        images: Option<bool>,
        /// Asks for a response format.
        response_format: Option<bool>,
        /// Asks for a stream.
        stream: Option<bool>,
        /// Messages of the user, at least.
        min_turns: u32,
        /// Messages of the user, at most.
        max_turns: u32,
    },
    /// A header.
    Header {
        /// Its name, valid and in lower case.
        name: String,
        /// What its value must be.
        matches: HeaderMatch,
    },
    /// Who calls: one of these names.
    Principal {
        /// Names of keys, or of users named by trusted peers.
        names: Vec<String>,
    },
}

/// What the value of a header must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderMatch {
    /// Anything; it is there.
    Present,
    /// One of these.
    OneOf(Vec<String>),
    /// A match of this expression, which compiles.
    Regex(String),
}
