//! Whole answers of our own making: a block that is answered politely, a simulated backend.

use bytes::Bytes;

use super::Usage;
use crate::{Dialect, json};

/// One answer with one choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion<'a> {
    /// Chat or legacy completion; embeddings have no text, and are written as a chat.
    pub dialect: Dialect,
    /// By the API's habit `chatcmpl-…` or `cmpl-…`.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answers, or answers by name.
    pub model: &'a str,
    /// What is said.
    pub text: &'a str,
    /// `stop`, `length`, `content_filter` and the like.
    pub finish_reason: &'a str,
    /// What it cost.
    pub usage: Usage,
}

impl Completion<'_> {
    /// The answer as a JSON body. [`crate::sse::replay`] makes a stream of it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let [id, model, text, finish_reason] =
            [self.id, self.model, self.text, self.finish_reason].map(json::encode);
        let (object, said) = match self.dialect {
            Dialect::Completions => ("text_completion", format!(r#""text":{text}"#)),
            _ => {
                let message = r#""message":{"role":"assistant","content":"#;
                ("chat.completion", format!(r#"{message}{text},"refusal":null}}"#))
            }
        };
        let created = self.created;
        let usage = self.usage.to_json();
        Bytes::from(format!(
            r#"{{"id":{id},"object":"{object}","created":{created},"model":{model},"choices":[{{"index":0,{said},"logprobs":null,"finish_reason":{finish_reason}}}],"usage":{usage}}}"#
        ))
    }
}
