//! OpenInference: span kinds on every span, the LLM's facts on the upstream span.

use super::Attributes;
use crate::finding::{Finding, Parameters, UpstreamRequest};
use crate::{Record, Span, Stage, Text};

pub(super) fn root<'a>(record: &'a Record, out: &mut Attributes<'a>) {
    out.string("openinference.span.kind", "CHAIN");
    if !record.request.custom.is_empty() {
        let members = record.request.custom.iter().map(|(key, value)| (&**key, value.as_str()));
        out.string("metadata", json_object(members));
    }
}

pub(super) fn span<'a>(span: &'a Span, out: &mut Attributes<'a>) {
    out.string("openinference.span.kind", kind(span.stage));
    if let Finding::UpstreamRequest(finding) = &span.finding {
        llm(finding, out);
    }
}

fn kind(stage: Stage) -> &'static str {
    match stage {
        Stage::PiiDetection | Stage::JailbreakDetection => "GUARDRAIL",
        Stage::CacheLookup => "RETRIEVER",
        Stage::SystemPromptInjection => "PROMPT",
        Stage::UpstreamRequest => "LLM",
        Stage::Classification
        | Stage::RoutingDecision
        | Stage::BackendSelection
        | Stage::ResponseProcessing
        | Stage::CacheStore => "CHAIN",
    }
}

fn llm<'a>(finding: &'a UpstreamRequest, out: &mut Attributes<'a>) {
    let model = finding.answer.model.as_ref().map_or(&*finding.model, |text| text.as_str());
    out.string("llm.model_name", model);
    out.string("llm.provider", &*finding.provider);
    out.string("llm.system", "openai");
    out.string("llm.invocation_parameters", invocation_parameters(&finding.model, &finding.parameters));
    out.maybe_string("llm.finish_reason", finding.answer.finish_reasons.first().map(Text::as_str));
    if let Some(usage) = finding.answer.usage {
        out.int("llm.token_count.prompt", usage.prompt);
        out.int("llm.token_count.completion", usage.completion);
        out.int("llm.token_count.total", usage.total());
        out.maybe_int("llm.token_count.prompt_details.cache_read", usage.cached);
        out.maybe_int("llm.token_count.completion_details.reasoning", usage.reasoning);
    }
    if let Some(cost) = finding.cost {
        out.double("llm.cost.prompt", cost.prompt);
        out.double("llm.cost.completion", cost.completion);
        out.double("llm.cost.total", cost.total());
    }
}

/// A JSON object of what the request asked for; numbers need no escaping.
fn invocation_parameters(model: &str, parameters: &Parameters) -> String {
    let mut members =
        vec![format!("\"model\":{}", json_string(model)), format!("\"stream\":{}", parameters.stream)];
    let mut number = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            members.push(format!("\"{name}\":{value}"));
        }
    };
    number("temperature", parameters.temperature.map(|value| value.to_string()));
    number("top_p", parameters.top_p.map(|value| value.to_string()));
    number("max_tokens", parameters.max_tokens.map(|value| value.to_string()));
    number("n", parameters.choice_count.map(|value| value.to_string()));
    number("seed", parameters.seed.map(|value| value.to_string()));
    number("frequency_penalty", parameters.frequency_penalty.map(|value| value.to_string()));
    number("presence_penalty", parameters.presence_penalty.map(|value| value.to_string()));
    format!("{{{}}}", members.join(","))
}

fn json_object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let members: Vec<String> =
        members.map(|(key, value)| format!("{}:{}", json_string(key), json_string(value))).collect();
    format!("{{{}}}", members.join(","))
}

/// Quotes a string for JSON (RFC 8259, section 7). Here so that the record needs no JSON library.
pub(super) fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{0}'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
