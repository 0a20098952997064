//! Prompts and answers on the upstream span, in OpenInference's and in GenAI's form.
//!
//! OpenInference: <https://arize-ai.github.io/openinference/spec/semantic_conventions.html>; GenAI: messages with parts, as
//! the convention's JSON schemas of `gen_ai.input.messages` and `gen_ai.output.messages` have them. A JSON text is made to
//! fit its bound by cutting the texts in it, so that it stays JSON.

use std::borrow::Cow;

use super::openinference::json_string;
use super::{Attribute, Attributes, Value, Vocabularies};
use crate::content::{CUT_MARK, Capture, Content, Message, PartKind};
use crate::{REDACTED, Record, Span, Stage, Text};

/// Attributes of prompts and answers, as far as `shown` says; each value has at most about `limit` bytes. Empty for a
/// destination that wants neither; one that wants one of both gets a placeholder for the other.
pub fn content_attributes<'a>(
    record: &'a Record,
    span: &Span,
    vocabularies: Vocabularies,
    shown: Capture,
    limit: usize,
) -> Vec<Attribute<'a>> {
    let mut out = Attributes::default();
    let Some(content) = record.content.as_deref() else { return out.0 };
    if span.stage != Stage::UpstreamRequest || shown == Capture::NOTHING {
        return out.0;
    }
    let answered = record.spans().iter().rfind(|other| other.stage == Stage::UpstreamRequest);
    let inputs = if shown.inputs { Side::Shown(&content.inputs) } else { Side::Hidden };
    let outputs = match (shown.outputs, answered.is_some_and(|last| last.id == span.id)) {
        (true, true) => Side::Shown(&content.outputs),
        (true, false) => Side::Shown(&[]),
        (false, _) => Side::Hidden,
    };
    if vocabularies.openinference {
        inputs.value("input.value", "input.mime_type", limit, &mut out);
        outputs.value("output.value", "output.mime_type", limit, &mut out);
    }
    if vocabularies.genai {
        inputs.genai("gen_ai.input.messages", limit, &mut out);
        outputs.genai("gen_ai.output.messages", limit, &mut out);
    }
    if vocabularies.openinference {
        // Last, since they are many: a limit of attributes leaves out these first.
        inputs.flat("llm.input_messages", &mut out);
        outputs.flat("llm.output_messages", &mut out);
    }
    out.0
}

/// One side of a call.
#[derive(Clone, Copy)]
enum Side<'a> {
    Hidden,
    Shown(&'a [Message]),
}

impl<'a> Side<'a> {
    /// The value for people: what is said where that is one message alone, else all messages as JSON.
    fn value(self, key: &'static str, mime_key: &'static str, limit: usize, out: &mut Attributes<'a>) {
        match self {
            Side::Hidden => out.string(key, REDACTED),
            Side::Shown([]) => {}
            Side::Shown([only]) => {
                out.string(key, said(only));
                out.string(mime_key, "text/plain");
            }
            Side::Shown(messages) => {
                let object = |message: &Message, each: usize| {
                    let text = clipped(&said(message), each).into_owned();
                    format!("{{\"role\":{},\"content\":{}}}", json_string(message.role), json_string(&text))
                };
                out.string(key, fitted(messages, limit, object));
                out.string(mime_key, "application/json");
            }
        }
    }

    fn genai(self, key: &'static str, limit: usize, out: &mut Attributes<'a>) {
        // The convention has no word for what is hidden: the attribute is left out.
        if let Side::Shown(messages @ [_, ..]) = self {
            out.string(key, fitted(messages, limit, genai_message));
        }
    }

    fn flat(self, prefix: &str, out: &mut Attributes<'a>) {
        let Side::Shown(messages) = self else { return };
        for (index, message) in messages.iter().enumerate() {
            let key = |name: &str| Cow::Owned(format!("{prefix}.{index}.message.{name}"));
            out.0.push((key("role"), Value::String(message.role.into())));
            out.0.push((key("content"), Value::String(said(message))));
        }
    }
}

/// What is said in a message, without thoughts.
fn said(message: &Message) -> Cow<'_, str> {
    let mut texts =
        message.parts.iter().filter(|part| part.kind == PartKind::Text).map(|part| part.content.as_str());
    let first = texts.next().unwrap_or_default();
    let rest: Vec<&str> = texts.collect();
    if rest.is_empty() {
        return Cow::Borrowed(first);
    }
    Cow::Owned(format!("{first}\n{}", rest.join("\n")))
}

/// `{"role", "parts": [{"type", "content"}], "finish_reason"}`; a tool's result has its own type of part.
fn genai_message(message: &Message, each: usize) -> String {
    let part = |kind: PartKind, content: &Content| {
        let text = json_string(&clipped(content.as_str(), each));
        match (kind, message.role) {
            (PartKind::Text, "tool") => format!("{{\"type\":\"tool_call_response\",\"response\":{text}}}"),
            (PartKind::Text, _) => format!("{{\"type\":\"text\",\"content\":{text}}}"),
            (PartKind::Reasoning, _) => format!("{{\"type\":\"reasoning\",\"content\":{text}}}"),
        }
    };
    let parts: Vec<String> = message.parts.iter().map(|each| part(each.kind, &each.content)).collect();
    let reason = message.finish_reason.as_ref().map(Text::as_str);
    let reason =
        reason.map(|reason| format!(",\"finish_reason\":{}", json_string(reason))).unwrap_or_default();
    format!("{{\"role\":{},\"parts\":[{}]{reason}}}", json_string(message.role), parts.join(","))
}

/// The messages as a JSON array of at most `limit` bytes: longer texts are cut first, then the oldest messages are left out.
fn fitted(messages: &[Message], limit: usize, render: impl Fn(&Message, usize) -> String) -> String {
    let mut each = limit;
    let mut shown = messages;
    loop {
        let rendered: Vec<String> = shown.iter().map(|message| render(message, each)).collect();
        let array = format!("[{}]", rendered.join(","));
        if array.len() <= limit || shown.is_empty() {
            return array;
        }
        match each {
            0..64 => shown = &shown[shown.len().div_ceil(2)..],
            _ => each /= 2,
        }
    }
}

fn clipped(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{CUT_MARK}", crate::text::cut(text, limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Part;

    fn message(role: &'static str, text: &str) -> Message {
        let content = Content::redacting(text, 100_000, |_| Some(Vec::new()));
        Message { role, parts: vec![Part { kind: PartKind::Text, content }], finish_reason: None }
    }

    #[test]
    fn an_array_fits_its_bound_and_stays_whole() {
        let messages: Vec<Message> = (0..40).map(|_| message("user", &"\"ä\n".repeat(500))).collect();
        for limit in [2, 10, 100, 1000, 4096, 30_000] {
            let array = fitted(&messages, limit, genai_message);
            assert!(array.len() <= limit && array.starts_with('[') && array.ends_with(']'), "{limit}");
        }
        let short = [message("user", "hi")];
        assert_eq!(
            fitted(&short, 4096, genai_message),
            r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#
        );
    }
}
