//! The words on the wire: OpenAI requests, answers, SSE frames and errors; lossless editing.
//!
//! What it is: readers that learn facts from bytes, and editors that change named bytes and no others.
//! What it is not: a client, a server, or a schema check. It does no I/O and knows nothing of routing.
//!
//! ```
//! use dialects::{Dialect, edit::Edits, request::ParsedRequest};
//!
//! let body = r#"{"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "x": 1.0}"#;
//! let request = ParsedRequest::parse(Dialect::ChatCompletions, body.into())?;
//! assert_eq!(request.last_user_text(), "Hi");
//! let edits = Edits { model: Some("small".to_owned()), ..Edits::default() };
//! assert_eq!(request.edited(&edits)?, body.replace("auto", "small"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: bytes that no edit names leave as they came: white space, key order, the spelling of
//! numbers and escapes, unknown members. Every reader takes linear time and bounded stack.

pub mod edit;
mod json;
pub mod request;
pub mod response;
pub mod sse;

/// An endpoint family of the OpenAI API; it decides where the prompt stands and what an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST /v1/chat/completions`: `messages` in, `choices[].message` or `choices[].delta` out.
    ChatCompletions,
    /// `POST /v1/completions`, the legacy form: `prompt` in, `choices[].text` out.
    Completions,
    /// `POST /v1/embeddings`: `input` in, vectors out; never a stream.
    Embeddings,
}

impl Dialect {
    /// Every dialect, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::ChatCompletions, Self::Completions, Self::Embeddings];

    /// The path below the origin, for instance `/v1/chat/completions`.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// The dialect spoken on a path (without its query), if it is one of ours.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.path() == path)
    }

    /// The value of `gen_ai.operation.name`, from the OpenTelemetry GenAI conventions.
    #[must_use]
    pub fn operation_name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
        }
    }
}
