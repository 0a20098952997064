//! What becomes of a request: refused, answered from memory, or forwarded.

use std::sync::Arc;
use std::time::Duration;

use dialects::request::TextId;
use dialects::response::ErrorCode;
use trace::Text;
use trace::finding::Reasoning;

use crate::masking::MaskMap;
use crate::policy::{BlockAnswer, HeaderChanges, Model, SystemPrompt};
use crate::ports::{CacheHit, CacheKey};

/// The result of deciding. A refusal and a cache hit are outcomes, not errors.
#[derive(Debug)]
pub enum Outcome {
    /// The client gets an error, or a completion that says no.
    Refuse(Refusal),
    /// The answer is known.
    Answer(CacheHit),
    /// A backend answers.
    Forward(Plan),
}

/// Why a request is refused: whose fault, what happened, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the API's error.
    pub code: ErrorCode,
    /// A sentence for the client; nothing of the prompt in it.
    pub message: String,
    /// The member of the request at fault.
    pub param: Option<&'static str>,
    /// How it is answered.
    pub answer: BlockAnswer,
    /// The decision that refused, if one did.
    pub decision: Option<Arc<str>>,
}

/// Whether a refusal is the fault of the router, its operator or a backend, so that the trace shows an error.
pub fn is_fault(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoBackend
            | ErrorCode::Internal
            | ErrorCode::UpstreamInvalid
            | ErrorCode::UpstreamTimeout
            | ErrorCode::UpstreamUnreachable
    )
}

impl Refusal {
    /// A refusal that is answered with an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), param: None, answer: BlockAnswer::Error, decision: None }
    }

    /// The message as it may stand in a trace.
    pub fn text(&self) -> Text {
        Text::from_outside(&self.message)
    }
}

/// How a forwarded request goes on: ranked choices, and what they share.
#[derive(Debug)]
pub struct Plan {
    /// Best first, at least one.
    pub choices: Vec<Choice>,
    /// What happens to the system prompt.
    pub system_prompt: Option<SystemPrompt>,
    /// Texts with personal data replaced.
    pub masked_texts: Vec<(TextId, String)>,
    /// What turns placeholders in the answer back.
    pub masks: MaskMap,
    /// Changes of headers.
    pub headers: HeaderChanges,
    /// Where and how long the answer is remembered; `None` if it is not.
    pub store: Option<StorePlan>,
    /// Attempts in all, the first included.
    pub max_attempts: u32,
}

/// One model that may answer.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The model.
    pub model: Arc<Model>,
    /// Its name for people: the model's own, or the client's where the model takes any.
    pub name: Arc<str>,
    /// The name sent to the backend: the model's own, or the client's where the model takes any.
    pub upstream_name: Arc<str>,
    /// Whether it reasons.
    pub reasoning: Reasoning,
    /// Whether the router switches reasoning, or leaves what the client wrote.
    pub switch_reasoning: bool,
}

/// Where and how long an answer is remembered.
#[derive(Debug, Clone, Copy)]
pub struct StorePlan {
    /// Under what.
    pub key: CacheKey,
    /// How long.
    pub ttl: Duration,
    /// Largest entry, in bytes.
    pub max_entry_bytes: usize,
}
