//! Lossless editing of requests: the pure function from (request, edits) to bytes.
//!
//! An edit replaces, inserts or removes the bytes of the member or literal that it names. Everything else
//! stays as it came. An edit that would write what already stands there changes nothing.

mod members;
mod system_prompt;

use bytes::Bytes;
use serde_json::Value;

use crate::json::{self, Splices};
use crate::request::{ParsedRequest, TextId};

/// What shall differ between the request as it came and as it is sent on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// The model to name instead.
    pub model: Option<String>,
    /// A system prompt to inject; chats only.
    pub system_prompt: Option<(SystemPromptMode, String)>,
    /// Members to set, each by its path of keys from the top (`["chat_template_kwargs", "enable_thinking"]`);
    /// objects on the way are made where they are missing.
    pub members: Vec<(Vec<String>, Value)>,
    /// Top-level members to take out.
    pub removed: Vec<String>,
    /// Sets `stream_options.include_usage` to true; for streams only, others refuse the member.
    pub stream_options_include_usage: bool,
    /// Texts to put in the place of those that [`ParsedRequest::texts`] names.
    pub masked_texts: Vec<(TextId, String)>,
}

/// How an injected system prompt meets the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemPromptMode {
    /// It stands in the place of the first system message; later ones are turns of the conversation and stay.
    Replace,
    /// It stands before the first system message's own words, with an empty line between.
    Prepend,
}

/// Why a request could not be edited as asked; the caller's mistake, not the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A system prompt was given for a request without messages.
    #[error("a {0} request has no messages to put a system prompt before")]
    NoMessages(&'static str),
    /// A text was named that the request does not have.
    #[error("the request has no text number {0}")]
    UnknownText(usize),
    /// An empty path was given for a member.
    #[error("a member to set needs a path of at least one key")]
    EmptyPath,
}

impl Edits {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ParsedRequest {
    /// The body with the edits made. Without a change it is the same [`Bytes`], not a copy.
    ///
    /// # Errors
    ///
    /// [`EditError`] when an edit does not fit this request.
    pub fn edited(&self, edits: &Edits) -> Result<Bytes, EditError> {
        let mut splices = Splices::default();
        let patch = members::Patch::of(edits)?;
        members::apply(self, &patch, &edits.removed, &mut splices);
        if let Some((mode, prompt)) = &edits.system_prompt {
            system_prompt::inject(self, *mode, prompt, &mut splices)?;
        }
        for (id, text) in &edits.masked_texts {
            let literal = self.raw_text(*id).ok_or(EditError::UnknownText(id.0))?;
            if literal.decoded(self.body()) != text.as_str() {
                splices.replace(literal.body(), json::encode_body(text));
            }
        }
        Ok(splices.apply(self.body()))
    }
}
