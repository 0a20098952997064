//! Prompts and answers for the trace, where some destination wants them; else nothing here runs.
//!
//! It happens after the last byte, so that no client waits for it. Personal data is looked for here again, whatever the
//! policy measures: a model may be allowed to see what a trace is not. The answer is taken as the backend gave it, before
//! placeholders are turned back.

use std::ops::Range;

use bytes::Bytes;
use dialects::request::{Role, TextKind, TextView};
use dialects::response::{AnswerTextKind, ParsedAnswer};
use trace::content::{Content, MAX_CONTENT_BYTES, Message, Part, PartKind};
use trace::{ActiveRecord, Text};

use super::Exchange;
use crate::outcome::Plan;
use crate::ports::{Deadline, PiiRecognizer};
use crate::request::Request;

/// The most messages that are kept of a prompt, the latest ones, and choices of an answer.
const MAX_MESSAGES: usize = 256;

impl Exchange {
    /// Notes the prompt, once an attempt was made.
    pub(super) fn note_prompt(&mut self) {
        let wanted = |record: &&mut ActiveRecord| may_look() && record.captures().inputs;
        let Some(record) = self.record.as_mut().filter(wanted).filter(|_| self.attempts > 0) else { return };
        let pii = &*self.pipeline.ports.pii;
        record.content.get_or_insert_default().inputs = prompt(&self.request, &self.plan, pii);
    }

    /// Notes a whole answer, a JSON body.
    pub(super) fn note_answer_text(&mut self, body: Option<&Bytes>) {
        let wanted = |record: &&mut ActiveRecord| may_look() && record.captures().outputs;
        let Some(record) = self.record.as_mut().filter(wanted) else { return };
        let answer = body.and_then(|body| ParsedAnswer::parse(body.clone()).ok());
        let outputs = answer.map(|answer| choices(&answer, &*self.pipeline.ports.pii)).unwrap_or_default();
        record.content.get_or_insert_default().outputs = outputs;
    }
}

/// A second panic, in a recogniser, while one unwinds already would end the process.
fn may_look() -> bool {
    !std::thread::panicking()
}

/// The latest messages that fit, oldest first; what is left out before them is marked.
fn prompt(request: &Request, plan: &Plan, pii: &dyn PiiRecognizer) -> Vec<Message> {
    let mut room = Room { left: MAX_CONTENT_BYTES, pii };
    let mut messages = Vec::new();
    for view in request.parsed.messages().rev() {
        let role = role(view.role());
        if room.left == 0 || messages.len() == MAX_MESSAGES {
            let parts = vec![Part { kind: PartKind::Text, content: Content::left_out() }];
            messages.push(Message { role, parts, finish_reason: None });
            break;
        }
        let parts = view.texts().filter_map(|text| {
            let kind = match text.kind {
                TextKind::Content | TextKind::Refusal => PartKind::Text,
                TextKind::Reasoning => PartKind::Reasoning,
                TextKind::ToolArguments => return None,
            };
            room.take(kind, sent(&text, plan))
        });
        messages.push(Message { role, parts: parts.collect(), finish_reason: None });
    }
    messages.reverse();
    messages
}

/// A text as backends get it: with placeholders where the policy masks.
fn sent<'a>(text: &'a TextView<'_>, plan: &'a Plan) -> &'a str {
    let masked = plan.masked_texts.iter().find(|(id, _)| *id == text.id);
    masked.map_or(&text.text, |(_, masked)| masked)
}

fn choices(answer: &ParsedAnswer, pii: &dyn PiiRecognizer) -> Vec<Message> {
    let mut room = Room { left: MAX_CONTENT_BYTES, pii };
    let reasons = answer.finish_reasons();
    let mut messages: Vec<(u32, Message)> = Vec::new();
    for text in answer.texts() {
        let kind = match text.kind {
            AnswerTextKind::Content | AnswerTextKind::Refusal => PartKind::Text,
            AnswerTextKind::Reasoning => PartKind::Reasoning,
            AnswerTextKind::ToolArguments => continue,
        };
        let Some(part) = room.take(kind, &text.text) else { continue };
        let full = messages.len() == MAX_MESSAGES;
        match messages.iter_mut().find(|(choice, _)| *choice == text.choice) {
            Some((_, message)) => message.parts.push(part),
            None if full => break,
            None => {
                let reason = usize::try_from(text.choice).ok().and_then(|index| reasons.get(index));
                let finish_reason = reason.map(|reason| Text::from_outside(reason));
                messages.push((text.choice, Message { role: "assistant", parts: vec![part], finish_reason }));
            }
        }
    }
    messages.into_iter().map(|(_, message)| message).collect()
}

/// What may still be kept.
struct Room<'a> {
    left: usize,
    pii: &'a dyn PiiRecognizer,
}

impl Room<'_> {
    /// `None` for a text that is empty, or finds no room.
    fn take(&mut self, kind: PartKind, text: &str) -> Option<Part> {
        if text.is_empty() || self.left == 0 {
            return None;
        }
        let content = Content::redacting(text, self.left, |text| found(self.pii, text));
        self.left = self.left.saturating_sub(content.as_str().len());
        Some(Part { kind, content })
    }
}

/// Where personal data stands, whatever its probability; `None` if the recogniser failed. The text is no longer than what is kept.
fn found(pii: &dyn PiiRecognizer, text: &str) -> Option<Vec<Range<usize>>> {
    let entities = pii.find(text, &mut Deadline::none()).ok()?;
    Some(entities.into_iter().map(|entity| entity.start..entity.end).collect())
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::Other => "other",
    }
}
