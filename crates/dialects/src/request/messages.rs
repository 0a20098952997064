//! Messages and the texts in them, as views into the body.

use std::borrow::Cow;

use super::ParsedRequest;
use crate::json::{Literal, Span};

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `system`, and `developer`, its newer name.
    System,
    /// `user`; also the prompt of a completion and the input of an embedding.
    User,
    /// `assistant`.
    Assistant,
    /// `tool`, and `function`, its older name.
    Tool,
    /// A word that this dialect does not document.
    Other,
}

impl Role {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "system" | "developer" => Self::System,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" | "function" => Self::Tool,
            _ => Self::Other,
        }
    }
}

/// What a text is to its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// What was said: `content`, or a text part of it.
    Content,
    /// `refusal`.
    Refusal,
    /// The assistant's thoughts: `reasoning_content` or `reasoning`.
    Reasoning,
    /// The arguments of a tool call: JSON written as a string, or free text for custom tools.
    ToolArguments,
}

/// Names one text of one request: its place in the order of [`ParsedRequest::texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextId(pub usize);

/// One string literal that a person or a model wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextView<'a> {
    /// By this name an edit replaces it.
    pub id: TextId,
    /// The index of its message (or prompt, or input).
    pub message: usize,
    /// The index of its part within the message's content or tool calls.
    pub part: usize,
    /// Whose message it stands in.
    pub role: Role,
    /// What it is to the message.
    pub kind: TextKind,
    /// The text, decoded; borrowed where it holds no escapes.
    pub text: Cow<'a, str>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) whole: Span,
    pub(crate) content: Option<Span>,
    pub(crate) has_image: bool,
    /// The end of this message's run in the list of texts; it begins where the one before ends.
    pub(crate) texts_end: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) literal: Literal,
    pub(crate) message: u32,
    pub(crate) part: u32,
    pub(crate) kind: TextKind,
}

/// One message; of a completion or embedding, one prompt or input.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    request: &'a ParsedRequest,
    index: usize,
    message: Message,
}

impl<'a> MessageView<'a> {
    /// Its place in the request, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Who speaks.
    #[must_use]
    pub fn role(&self) -> Role {
        self.message.role
    }

    /// Whether it carries the result of a tool.
    #[must_use]
    pub fn is_tool_result(&self) -> bool {
        self.message.role == Role::Tool
    }

    /// Whether a part of it is an image or a video.
    #[must_use]
    pub fn has_image(&self) -> bool {
        self.message.has_image
    }

    /// Its texts, of every kind.
    pub fn texts(&self) -> impl Iterator<Item = TextView<'a>> + use<'a> {
        let inner = &self.request.inner;
        let before = self.index.checked_sub(1).and_then(|index| inner.messages.get(index));
        let start = before.map_or(0, |message| message.texts_end as usize);
        let request = self.request;
        (start..self.message.texts_end as usize).filter_map(|id| request.text(TextId(id)))
    }

    /// What was said: its texts of kind [`TextKind::Content`], one line each; borrowed where there is only one.
    #[must_use]
    pub fn text(&self) -> Cow<'a, str> {
        super::subject::joined(self.texts().filter(|text| text.kind == TextKind::Content))
    }
}

impl ParsedRequest {
    /// The messages in order; prompts or inputs in the other dialects.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = MessageView<'_>> + ExactSizeIterator {
        let view =
            |(index, message): (usize, &Message)| MessageView { request: self, index, message: *message };
        self.inner.messages.iter().enumerate().map(view)
    }

    /// Every text that a person or a model wrote, in the order of the body.
    pub fn texts(&self) -> impl Iterator<Item = TextView<'_>> {
        (0..self.inner.texts.len()).filter_map(|id| self.text(TextId(id)))
    }

    /// One text by its name.
    #[must_use]
    pub fn text(&self, id: TextId) -> Option<TextView<'_>> {
        let text = self.inner.texts.get(id.0)?;
        let message = self.inner.messages.get(text.message as usize)?;
        Some(TextView {
            id,
            message: text.message as usize,
            part: text.part as usize,
            role: message.role,
            kind: text.kind,
            text: text.literal.decoded(&self.inner.body),
        })
    }

    pub(crate) fn raw_messages(&self) -> &[Message] {
        &self.inner.messages
    }

    pub(crate) fn raw_text(&self, id: TextId) -> Option<Literal> {
        self.inner.texts.get(id.0).map(|text| text.literal)
    }
}
