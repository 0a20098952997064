//! The texts that signals read: one string per question asked of a request.

use std::borrow::Cow;

use super::messages::{Role, TextKind, TextView};
use super::{MessageView, ParsedRequest};
use crate::json::{Scanner, Span};

impl ParsedRequest {
    /// The last message of the user; the last prompt or input in the other dialects. Empty when there is none.
    #[must_use]
    pub fn last_user_text(&self) -> Cow<'_, str> {
        let last = self.messages().rev().find(|message| message.role() == Role::User);
        last.map(|message| message.text()).unwrap_or_default()
    }

    /// The first message of the user: what a conversation began with. Empty when there is none.
    #[must_use]
    pub fn first_user_text(&self) -> Cow<'_, str> {
        let first = self.messages().find(|message| message.role() == Role::User);
        first.map(|message| message.text()).unwrap_or_default()
    }

    /// What was said in all messages of all roles, one line each.
    #[must_use]
    pub fn conversation_text(&self) -> Cow<'_, str> {
        self.said_by(|_| true)
    }

    /// The results of tools after the user's last message, or all of them if the user said nothing.
    #[must_use]
    pub fn tool_results_text(&self) -> Cow<'_, str> {
        let last_user = self.messages().rev().find(|message| message.role() == Role::User);
        let after = last_user.map_or(0, |message| message.index());
        self.said_by(|message| message.is_tool_result() && message.index() >= after)
    }

    /// All system and developer messages.
    #[must_use]
    pub fn system_text(&self) -> Cow<'_, str> {
        self.said_by(|message| message.role() == Role::System)
    }

    /// Whether the last message is the result of a tool: the client continues what a model began.
    #[must_use]
    pub fn ends_with_tool_result(&self) -> bool {
        self.messages().next_back().is_some_and(|message| message.is_tool_result())
    }

    /// What the client says of its tools (`tools`, and `functions`, the older name), one line each: every string of several words,
    /// whatever member of a tool or of its schema holds it, since a model reads them all. It is in no message, and so in none of
    /// the texts that can be edited.
    #[must_use]
    pub fn tool_descriptions(&self) -> String {
        let mut all = String::new();
        for raw in ["tools", "functions"].into_iter().filter_map(|name| self.member(name)) {
            push_sentences(raw, &mut all);
        }
        all
    }

    fn said_by(&self, wanted: impl Fn(&MessageView<'_>) -> bool) -> Cow<'_, str> {
        let messages = self.messages().filter(wanted);
        joined(messages.flat_map(|message| message.texts()).filter(|text| text.kind == TextKind::Content))
    }
}

/// Adds the strings of several words in a JSON value that was scanned before. Linear, and without recursion: outside of strings
/// every quote opens one.
fn push_sentences(raw: &str, all: &mut String) {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(skipped) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
        let Ok(literal) = Scanner::at(bytes, Span::new(at + skipped, bytes.len())).string() else { return };
        at = literal.span.range().end;
        let text = literal.decoded(bytes);
        if text.split_whitespace().nth(1).is_some() {
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(&text);
        }
    }
}

/// Texts one line each; borrowed where there is only one.
pub(super) fn joined<'a>(mut texts: impl Iterator<Item = TextView<'a>>) -> Cow<'a, str> {
    let Some(first) = texts.next() else { return Cow::default() };
    let Some(second) = texts.next() else { return first.text };
    let mut all = first.text.into_owned();
    for text in std::iter::once(second).chain(texts) {
        all.push('\n');
        all.push_str(&text.text);
    }
    all.into()
}
