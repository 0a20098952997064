//! The texts that signals read: one string per question asked of a request.

use std::borrow::Cow;

use super::messages::{Role, TextKind, TextView};
use super::{MessageView, ParsedRequest};

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

    fn said_by(&self, wanted: impl Fn(&MessageView<'_>) -> bool) -> Cow<'_, str> {
        let messages = self.messages().filter(wanted);
        joined(messages.flat_map(|message| message.texts()).filter(|text| text.kind == TextKind::Content))
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
