//! `semantic_router.system_prompt.injection`: the edit of the system prompt.

use bytes::Bytes;
use dialects::Dialect;
use dialects::edit::{EditError, Edits, SystemPromptMode};
use trace::finding::{Finding, SystemPromptInjection};
use trace::{Record, Stage};

use crate::policy::SystemPrompt;
use crate::request::Request;

/// Edits the request for one attempt. Where the decision has a system prompt the edit is a stage with a span;
/// otherwise only the other edits are made.
pub(crate) fn run(
    request: &Request,
    prompt: Option<&SystemPrompt>,
    mut edits: Edits,
    record: &mut Record,
) -> Result<Bytes, EditError> {
    let Some(prompt) = prompt else { return request.parsed.edited(&edits) };
    let index = record.begin(Stage::SystemPromptInjection);
    // Only chats have system prompts; the span of another dialect says that nothing was injected.
    let injected = request.parsed.dialect() == Dialect::ChatCompletions;
    if injected {
        edits.system_prompt = Some((prompt.mode, prompt.text.to_string()));
    }
    let edited = request.parsed.edited(&edits);
    let finding = SystemPromptInjection {
        injected: injected && edited.is_ok(),
        mode: match prompt.mode {
            _ if !injected => "none",
            SystemPromptMode::Replace => "replace",
            SystemPromptMode::Prepend => "prepend",
        },
        length_bytes: if injected { u64::try_from(prompt.text.len()).unwrap_or(u64::MAX) } else { 0 },
    };
    record.end(index, Finding::SystemPromptInjection(finding));
    edited
}
