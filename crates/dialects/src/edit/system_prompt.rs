//! Where a system prompt goes: before, into, or in the place of the client's own.

use super::{EditError, SystemPromptMode};
use crate::Dialect;
use crate::json::Splices;
use crate::json::{self, Kind, Scanner, Span};
use crate::request::{ParsedRequest, Role};

pub(super) fn inject(
    request: &ParsedRequest,
    mode: SystemPromptMode,
    prompt: &str,
    splices: &mut Splices,
) -> Result<(), EditError> {
    if request.dialect() != Dialect::ChatCompletions {
        return Err(EditError::NoMessages(request.dialect().operation_name()));
    }
    let messages = request.raw_messages();
    let Some(first) = messages.first() else {
        return Err(EditError::NoMessages(request.dialect().operation_name()));
    };
    let Some(own) = messages.iter().find(|message| message.role == Role::System) else {
        let message = format!(r#"{{"role":"system","content":{}}},"#, json::encode(prompt));
        splices.insert(first.whole.start, message);
        return Ok(());
    };
    let Some(content) = own.content else {
        // Its braces hold at least `role`, so that a comma is due.
        let member = format!(r#""content":{},"#, json::encode(prompt));
        splices.insert(own.whole.start + 1, member);
        return Ok(());
    };
    match mode {
        SystemPromptMode::Replace => replace(request, content, prompt, splices),
        SystemPromptMode::Prepend => prepend(request, content, prompt, splices),
    }
    Ok(())
}

fn replace(request: &ParsedRequest, content: Span, prompt: &str, splices: &mut Splices) {
    let written = json::encode(prompt);
    if content.of(request.body()) != written {
        splices.replace(content, written);
    }
}

fn prepend(request: &ParsedRequest, content: Span, prompt: &str, splices: &mut Splices) {
    match Scanner::at(request.body(), content).peek() {
        Ok(Kind::String) => {
            splices.insert(content.start + 1, format!(r"{}\n\n", json::encode_body(prompt)));
        }
        Ok(Kind::Array) => {
            let comma = if is_empty_array(request, content) { "" } else { "," };
            let part = format!(r#"{{"type":"text","text":{}}}{comma}"#, json::encode(prompt));
            splices.insert(content.start + 1, part);
        }
        _ => replace(request, content, prompt, splices),
    }
}

fn is_empty_array(request: &ParsedRequest, content: Span) -> bool {
    let inner = Span { start: content.start + 1, end: content.end.saturating_sub(1) };
    inner.of(request.body()).trim_ascii().is_empty()
}
