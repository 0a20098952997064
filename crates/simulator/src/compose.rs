//! What the model says: from a request to pieces of text, a tool call, and token counts. Pure.

use serde_json::json;

use crate::api::{CompletionDetails, PromptDetails, Usage};
use crate::example::example;
use crate::request::{ChatRequest, Message, Sampling};
use crate::script::{Reasoning, Script};
use crate::text;
use crate::tools::{self, Call};

/// All choices of an answer together are not longer, so that a request cannot make the simulator hold more.
const MAX_OUTPUT_TOKENS: u32 = 32_768;

/// Tokens that a chat template adds for each message.
const TEMPLATE_TOKENS: u32 = 4;

/// One answer, before it is written in a format of the API.
#[derive(Debug)]
pub(crate) struct Composition {
    pub(crate) reasoning: Vec<String>,
    pub(crate) content: Content,
    pub(crate) finish_reason: &'static str,
    /// The stop sequence that ended the text.
    pub(crate) stop_reason: Option<String>,
    pub(crate) usage: Usage,
}

/// The answer proper.
#[derive(Debug)]
pub(crate) enum Content {
    Text(Vec<String>),
    Call(Call),
}

impl Composition {
    /// Number of tokens of one choice, reasoning included.
    pub(crate) fn length(&self) -> u32 {
        let content = match &self.content {
            Content::Text(pieces) => pieces.len(),
            Content::Call(call) => text::pieces(&call.arguments).count(),
        };
        u32::try_from(self.reasoning.len() + content).unwrap_or(u32::MAX)
    }
}

/// The answer to a chat.
pub(crate) fn chat(script: &Script, request: &ChatRequest, model: &str) -> Composition {
    let prompt = request.prompt();
    let limit = limit(request.max_tokens(), &request.sampling);
    let thinks = match script.reasoning {
        Reasoning::Never => false,
        Reasoning::WhenAsked => request.asks_for_reasoning(),
        Reasoning::Always => true,
    };
    let wanted = if thinks { script.reasoning_tokens.min(limit) } else { 0 };
    let reasoning = text::fitted(&thoughts(&prompt), wanted);
    let prompt_tokens = request.messages.iter().map(tokens_of_message).fold(0, u32::saturating_add);

    let (content, finish_reason, stop_reason) = match tools::requested(request) {
        Some(call) => (Content::Call(call), "tool_calls", None),
        None => {
            let text = structured(request, &prompt).unwrap_or_else(|| free(script, &prompt, model));
            let ended = ended(
                &text,
                request.sampling.stop.as_ref().map_or(&[], |stop| stop.sequences()),
                limit - wanted,
            );
            (Content::Text(ended.pieces), ended.finish_reason, ended.stop_reason)
        }
    };
    finished(script, reasoning, content, finish_reason, stop_reason, &request.sampling, prompt_tokens)
}

/// The continuation of a legacy prompt.
pub(crate) fn completion(script: &Script, prompt: &str, sampling: &Sampling, model: &str) -> Composition {
    let limit = limit(sampling.max_tokens, sampling);
    let stop = sampling.stop.as_ref().map_or(&[][..], |stop| stop.sequences());
    let ended = ended(&free(script, prompt, model), stop, limit);
    let content = Content::Text(ended.pieces);
    finished(
        script,
        Vec::new(),
        content,
        ended.finish_reason,
        ended.stop_reason,
        sampling,
        text::count(prompt),
    )
}

fn finished(
    script: &Script,
    reasoning: Vec<String>,
    content: Content,
    finish_reason: &'static str,
    stop_reason: Option<String>,
    sampling: &Sampling,
    prompt_tokens: u32,
) -> Composition {
    let mut made = Composition { reasoning, content, finish_reason, stop_reason, usage: Usage::default() };
    let choices = sampling.n.unwrap_or(1);
    let completion_tokens = made.length().saturating_mul(choices);
    let reasoning_tokens = u32::try_from(made.reasoning.len()).unwrap_or(u32::MAX).saturating_mul(choices);
    made.usage = Usage {
        prompt_tokens,
        total_tokens: prompt_tokens.saturating_add(completion_tokens),
        completion_tokens,
        prompt_tokens_details: PromptDetails { cached_tokens: script.cached_tokens.min(prompt_tokens) },
        completion_tokens_details: CompletionDetails { reasoning_tokens },
    };
    made
}

/// The most tokens that one choice may have.
fn limit(asked: Option<u32>, sampling: &Sampling) -> u32 {
    let most = MAX_OUTPUT_TOKENS / sampling.n.unwrap_or(1).max(1);
    asked.map_or(most, |asked| asked.min(most))
}

fn tokens_of_message(message: &Message) -> u32 {
    text::count(&message.text()).saturating_add(TEMPLATE_TOKENS)
}

fn thoughts(prompt: &str) -> String {
    let quoted: String = prompt.chars().take(60).collect();
    format!(
        "The user asks: {quoted}. I recall what is known about it, work through it step by step, and check it."
    )
}

/// A free text at the script's length.
fn free(script: &Script, prompt: &str, model: &str) -> String {
    let text = script.answer.text(prompt, model);
    match script.output_tokens {
        Some(length) => text::fitted(&text, length.min(MAX_OUTPUT_TOKENS)).concat(),
        None => text,
    }
}

/// The JSON text of a request with a response format of JSON. The script's length does not apply to it.
fn structured(request: &ChatRequest, prompt: &str) -> Option<String> {
    let format = request.response_format.as_ref()?;
    let value = match (format.kind.as_str(), &format.json_schema) {
        ("json_schema", Some(named)) => example(&named.schema, "example"),
        ("json_object" | "json_schema", _) => json!({"question": prompt, "answer": "simulated"}),
        _ => return None,
    };
    Some(value.to_string())
}

struct Ended {
    pieces: Vec<String>,
    finish_reason: &'static str,
    stop_reason: Option<String>,
}

/// Ends a text at the earliest stop sequence, which is left out, and at the limit of tokens.
fn ended(text: &str, stop: &[String], limit: u32) -> Ended {
    let found = stop.iter().filter(|sequence| !sequence.is_empty());
    let earliest = found.filter_map(|sequence| Some((text.find(sequence.as_str())?, sequence))).min();
    let shown = earliest.map_or(text, |(at, _)| text.split_at(at).0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut pieces: Vec<String> =
        text::pieces(shown).take(limit.saturating_add(1)).map(str::to_owned).collect();
    if pieces.len() > limit {
        pieces.truncate(limit);
        return Ended { pieces, finish_reason: "length", stop_reason: None };
    }
    Ended { pieces, finish_reason: "stop", stop_reason: earliest.map(|(_, sequence)| sequence.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_a_stop_sequence_or_at_the_limit() {
        let ended_at = |stop: &[&str], limit| {
            let stop: Vec<String> = stop.iter().map(|sequence| (*sequence).into()).collect();
            let ended = ended("one two three", &stop, limit);
            (ended.pieces.concat(), ended.finish_reason, ended.stop_reason)
        };
        assert_eq!(ended_at(&[], 3), ("one two three".into(), "stop", None));
        assert_eq!(ended_at(&[], 2), ("one two".into(), "length", None));
        assert_eq!(ended_at(&["three", " tw", ""], 9), ("one".into(), "stop", Some(" tw".into())));
        assert_eq!(ended_at(&[], 0), (String::new(), "length", None));
    }

    #[test]
    fn usage_counts_every_choice_and_reasoning_within_the_limit() {
        let script = Script { output_tokens: Some(10), cached_tokens: 99, ..Script::default() };
        let request = json!({
            "messages": [{"role": "user", "content": "hello there"}],
            "n": 2, "max_tokens": 30, "reasoning_effort": "high",
        });
        let made = chat(&script, &serde_json::from_value(request).unwrap(), "m");
        assert_eq!((made.usage.prompt_tokens, made.usage.completion_tokens), (6, 60));
        assert_eq!(made.usage.completion_tokens_details.reasoning_tokens, 48);
        assert_eq!(made.usage.prompt_tokens_details.cached_tokens, 6);
        assert_eq!(made.finish_reason, "length");
    }
}
