//! An answer as vLLM's span: its name, its attributes, and what it leaves out.
//!
//! The names are those of vLLM's `SpanAttributes`; latencies are seconds. `gen_ai.response.model` is written too, as
//! vLLM's first engine did, since nothing else says which model answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags, span::SpanKind};

use super::context::Parent;

const NAME: &str = "llm_request";

/// What the engine did for one request.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    /// The answer's id.
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) prompt_tokens: u32,
    pub(crate) completion_tokens: u32,
    /// Time before the engine began.
    pub(crate) queued: Duration,
    /// From there to the first token.
    pub(crate) prefill: Duration,
    /// From the first token to the last.
    pub(crate) decode: Duration,
    /// `None` for embeddings, which sample nothing.
    pub(crate) sampling: Option<SamplingParameters>,
}

/// What the request asks of the sampler, with vLLM's defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct SamplingParameters {
    pub(crate) n: u32,
    pub(crate) max_tokens: u32,
    pub(crate) temperature: f64,
    pub(crate) top_p: f64,
}

/// The span of a request that began at `start` and took `end_to_end`.
pub(super) fn span(
    parent: Option<Parent>,
    start: SystemTime,
    end_to_end: Duration,
    generation: &Generation,
) -> Span {
    let remote = SpanFlags::ContextHasIsRemoteMask as u32;
    let identity = match parent {
        Some(parent) => Span {
            trace_id: parent.trace_id.to_vec(),
            parent_span_id: parent.span_id.to_vec(),
            trace_state: parent.state,
            flags: u32::from(parent.flags) | remote | SpanFlags::ContextIsRemoteMask as u32,
            ..Span::default()
        },
        None => Span {
            trace_id: fastrand::u128(1..).to_be_bytes().to_vec(),
            flags: 1 | remote,
            ..Span::default()
        },
    };
    let start = nanoseconds(start.duration_since(UNIX_EPOCH).unwrap_or_default());
    Span {
        span_id: fastrand::u64(1..).to_be_bytes().to_vec(),
        name: NAME.into(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(nanoseconds(end_to_end)),
        attributes: attributes(generation, end_to_end),
        ..identity
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn attributes(generation: &Generation, end_to_end: Duration) -> Vec<KeyValue> {
    let seconds = |duration: Duration| Value::DoubleValue(duration.as_secs_f64());
    let Generation { queued, prefill, decode, .. } = *generation;
    let mut attributes = vec![
        pair("gen_ai.latency.time_to_first_token", seconds(queued + prefill)),
        pair("gen_ai.latency.e2e", seconds(end_to_end)),
        pair("gen_ai.latency.time_in_queue", seconds(queued)),
        pair("gen_ai.usage.prompt_tokens", Value::IntValue(generation.prompt_tokens.into())),
        pair("gen_ai.usage.completion_tokens", Value::IntValue(generation.completion_tokens.into())),
        pair("gen_ai.latency.time_in_model_prefill", seconds(prefill)),
        pair("gen_ai.latency.time_in_model_decode", seconds(decode)),
        pair("gen_ai.latency.time_in_model_inference", seconds(prefill + decode)),
        pair("gen_ai.request.id", Value::StringValue(generation.id.clone())),
        pair("gen_ai.response.model", Value::StringValue(generation.model.clone())),
    ];
    if let Some(sampling) = &generation.sampling {
        attributes.extend(requested(sampling));
    }
    attributes
}

/// vLLM leaves out what is zero: a temperature of 0 is not told apart from one that was not given.
fn requested(sampling: &SamplingParameters) -> impl Iterator<Item = KeyValue> {
    let whole = |name, value: u32| (value > 0).then(|| pair(name, Value::IntValue(value.into())));
    let number = |name, value: f64| (value != 0.0).then(|| pair(name, Value::DoubleValue(value)));
    let found = [
        number("gen_ai.request.top_p", sampling.top_p),
        whole("gen_ai.request.max_tokens", sampling.max_tokens),
        number("gen_ai.request.temperature", sampling.temperature),
        whole("gen_ai.request.n", sampling.n),
    ];
    found.into_iter().flatten()
}

pub(super) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_is_the_callers_child_and_leaves_out_what_is_zero() {
        let parent = Parent { trace_id: [7; 16], span_id: [8; 8], flags: 1, state: "a=1".into() };
        let generation = Generation {
            id: "chatcmpl-1".into(),
            model: "m".into(),
            prompt_tokens: 6,
            completion_tokens: 19,
            queued: Duration::from_millis(10),
            prefill: Duration::from_millis(40),
            decode: Duration::from_millis(100),
            sampling: Some(SamplingParameters { n: 1, max_tokens: 64, temperature: 0.0, top_p: 0.5 }),
        };
        let start = UNIX_EPOCH + Duration::from_secs(1);
        let made = span(Some(parent), start, Duration::from_millis(151), &generation);
        assert_eq!((made.trace_id, made.parent_span_id), (vec![7; 16], vec![8; 8]));
        assert_eq!((made.flags, made.trace_state.as_str()), (0x301, "a=1"));
        assert_eq!((made.start_time_unix_nano, made.end_time_unix_nano), (1_000_000_000, 1_151_000_000));
        let get = |key: &str| {
            let found = made.attributes.iter().find(|attribute| attribute.key == key);
            found.and_then(|attribute| attribute.value.clone()?.value)
        };
        assert_eq!(get("gen_ai.latency.time_to_first_token"), Some(Value::DoubleValue(0.05)));
        assert_eq!(get("gen_ai.latency.time_in_model_inference"), Some(Value::DoubleValue(0.14)));
        assert_eq!(get("gen_ai.usage.completion_tokens"), Some(Value::IntValue(19)));
        assert_eq!(get("gen_ai.request.top_p"), Some(Value::DoubleValue(0.5)));
        assert_eq!(get("gen_ai.request.temperature"), None);
    }

    #[test]
    fn without_a_caller_it_is_a_root() {
        let generation = Generation {
            id: String::new(),
            model: String::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
            queued: Duration::ZERO,
            prefill: Duration::ZERO,
            decode: Duration::ZERO,
            sampling: None,
        };
        let made = span(None, UNIX_EPOCH, Duration::ZERO, &generation);
        assert_eq!((made.trace_id.len(), made.span_id.len()), (16, 8));
        assert!(made.parent_span_id.is_empty());
        assert_eq!(made.flags, 0x101);
    }
}
