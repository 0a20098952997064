//! OpenTelemetry's GenAI conventions, v1.41, on the upstream span.

use super::Attributes;
use crate::finding::{Finding, UpstreamRequest};
use crate::{Record, Span, Text};

pub(super) fn span<'a>(record: &'a Record, span: &'a Span, out: &mut Attributes<'a>) {
    let Finding::UpstreamRequest(finding) = &span.finding else { return };
    request(record, finding, out);
    answer(span, finding, out);
}

fn request<'a>(record: &'a Record, finding: &'a UpstreamRequest, out: &mut Attributes<'a>) {
    out.string("gen_ai.operation.name", finding.operation);
    // The flavour of the wire format; who runs the model is `model.provider`.
    out.string("gen_ai.provider.name", "openai");
    out.maybe_string("gen_ai.conversation.id", record.request.conversation_id.as_ref().map(Text::as_str));
    out.string("gen_ai.request.model", &*finding.model);
    let parameters = &finding.parameters;
    if parameters.stream {
        out.bool("gen_ai.request.stream", true);
    }
    out.maybe_double("gen_ai.request.temperature", parameters.temperature);
    out.maybe_double("gen_ai.request.top_p", parameters.top_p);
    out.maybe_int("gen_ai.request.max_tokens", parameters.max_tokens);
    // The convention asks for the count only where it is not 1.
    out.maybe_int("gen_ai.request.choice.count", parameters.choice_count.filter(|count| *count != 1));
    out.maybe_signed("gen_ai.request.seed", parameters.seed);
    out.maybe_double("gen_ai.request.frequency_penalty", parameters.frequency_penalty);
    out.maybe_double("gen_ai.request.presence_penalty", parameters.presence_penalty);
}

fn answer<'a>(span: &'a Span, finding: &'a UpstreamRequest, out: &mut Attributes<'a>) {
    let answer = &finding.answer;
    out.maybe_string("gen_ai.response.id", answer.id.as_ref().map(Text::as_str));
    out.maybe_string("gen_ai.response.model", answer.model.as_ref().map(Text::as_str));
    if !answer.finish_reasons.is_empty() {
        out.strings("gen_ai.response.finish_reasons", answer.finish_reasons.iter().map(Text::as_str));
    }
    if finding.parameters.stream
        && let Some(first) = answer.first_token_ns
    {
        out.double("gen_ai.response.time_to_first_chunk", seconds(first.saturating_sub(span.start_ns)));
    }
    if let Some(usage) = answer.usage {
        out.int("gen_ai.usage.input_tokens", usage.prompt);
        out.int("gen_ai.usage.output_tokens", usage.completion);
        out.maybe_int("gen_ai.usage.cache_read.input_tokens", usage.cached);
        out.maybe_int("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
    }
}

fn seconds(ns: u64) -> f64 {
    super::milliseconds(ns) / 1e3
}
