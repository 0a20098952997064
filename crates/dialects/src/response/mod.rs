//! Answers: reading what a backend said, rewriting texts in it, and writing answers of our own.
//!
//! What it is not: a judge of answers. A backend's own errors and unknown members pass through untouched.
//!
//! Invariant: reading never changes a byte, and rewriting changes only the string literals that were rewritten.

mod completion;
mod error_body;
mod models;
pub(crate) mod read;
mod usage;

use std::borrow::Cow;

use bytes::Bytes;

use crate::json::{self, Literal, Splices};

pub use completion::Completion;
pub use error_body::{ErrorBody, ErrorCode};
pub use models::models_list;
pub use usage::Usage;

/// A JSON answer, not a stream, and what was read from it.
#[derive(Clone, Debug)]
pub struct ParsedAnswer {
    body: Bytes,
    answer: read::Answer,
}

/// Why bytes are not an answer; the backend's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JSON object: {message} at byte {offset}")]
pub struct AnswerError {
    /// What stands there, or what is missing.
    pub message: &'static str,
    /// Bytes from the start of the answer.
    pub offset: usize,
}

/// What a text is to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerTextKind {
    /// What is said: `content`, or `text` of a legacy completion.
    Content,
    /// `refusal`.
    Refusal,
    /// The model's thoughts: `reasoning_content` or `reasoning`.
    Reasoning,
    /// The arguments of a tool call.
    ToolArguments,
}

/// One text of an answer, or one piece of it in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerText<'a> {
    /// The choice's `index`.
    pub choice: u32,
    /// The tool call's index within the choice; 0 for other kinds.
    pub tool: u32,
    /// What it is to the choice.
    pub kind: AnswerTextKind,
    /// The text, decoded.
    pub text: Cow<'a, str>,
}

impl ParsedAnswer {
    /// Reads an answer of any dialect; in embeddings only model and usage are found. Linear in its length.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] when the body is not one JSON object in UTF-8.
    pub fn parse(body: Bytes) -> Result<Self, AnswerError> {
        let answer = read::answer(&body)?;
        Ok(Self { body, answer })
    }

    /// The body, byte for byte as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// `id`.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.answer.id.map(|literal| literal.decoded(&self.body))
    }

    /// `model`: the name by which the backend says it answered.
    #[must_use]
    pub fn model(&self) -> Option<Cow<'_, str>> {
        self.answer.model.map(|literal| literal.decoded(&self.body))
    }

    /// `usage`, if the backend counted.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.answer.usage
    }

    /// `finish_reason` of each choice that has one, in order.
    #[must_use]
    pub fn finish_reasons(&self) -> Vec<String> {
        let reasons = self.answer.choices.iter().filter_map(|choice| choice.finish_reason);
        reasons.map(|literal| literal.decoded(&self.body).into_owned()).collect()
    }

    /// How many choices the answer holds.
    #[must_use]
    pub fn choice_count(&self) -> usize {
        self.answer.choices.len()
    }

    /// Whether a choice calls a tool.
    #[must_use]
    pub fn has_tool_calls(&self) -> bool {
        let mut pieces = self.answer.choices.iter().flat_map(|choice| &choice.pieces);
        pieces.any(|piece| piece.kind.text_kind() == Some(AnswerTextKind::ToolArguments))
    }

    /// The raw JSON of `error`, where the body is an error and not an answer.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.answer.error.map(|span| span.of(&self.body))
    }

    /// Every text in the answer, in the order of the body.
    pub fn texts(&self) -> impl Iterator<Item = AnswerText<'_>> {
        literals(&self.answer).map(|literal| view(&self.body, literal))
    }

    /// What was said, choices one after the other on lines of their own.
    #[must_use]
    pub fn text(&self) -> String {
        let said = self.texts().filter(|text| text.kind == AnswerTextKind::Content);
        said.map(|text| text.text).collect::<Vec<_>>().join("\n")
    }

    /// The body with each text for which `rewrite` has a replacement replaced; the same bytes, not a copy, if none.
    #[must_use]
    pub fn rewritten(&self, rewrite: &mut dyn FnMut(&AnswerText<'_>) -> Option<String>) -> Bytes {
        rewrite_texts(&self.body, &self.answer, rewrite)
    }
}

pub(crate) fn rewrite_texts(
    body: &Bytes,
    answer: &read::Answer,
    rewrite: &mut dyn FnMut(&AnswerText<'_>) -> Option<String>,
) -> Bytes {
    let mut splices = Splices::default();
    for found in literals(answer) {
        let text = view(body, found);
        if let Some(replacement) = rewrite(&text).filter(|replacement| *replacement != text.text) {
            splices.replace(found.literal.body(), json::encode_body(&replacement));
        }
    }
    splices.apply(body)
}

#[derive(Clone, Copy)]
struct Found {
    choice: u32,
    tool: u32,
    kind: AnswerTextKind,
    literal: Literal,
}

fn literals(answer: &read::Answer) -> impl Iterator<Item = Found> {
    answer.choices.iter().flat_map(|choice| {
        choice.pieces.iter().filter_map(|piece| {
            let kind = piece.kind.text_kind()?;
            Some(Found { choice: choice.index, tool: piece.tool, kind, literal: piece.literal })
        })
    })
}

fn view(body: &[u8], Found { choice, tool, kind, literal }: Found) -> AnswerText<'_> {
    AnswerText { choice, tool, kind, text: literal.decoded(body) }
}
