//! B3, in one header and in several (<https://github.com/openzipkin/b3-propagation>).
//!
//! Trace ids of 64 bits are padded with zeros on the left, as the format asks. An id that is there with a span id that is
//! not is no position in a trace.

use super::{TraceContext, TraceFlags};
use crate::ids::parse_hex;
use crate::{SpanId, TraceId};

/// `b3: {trace id}-{span id}[-{sampling state}[-{parent span id}]]`. The short forms (`0`, `1`, `d`) name no position.
pub(super) fn parse_single(value: &str) -> Option<TraceContext> {
    let mut parts = value.trim_matches([' ', '\t']).split('-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    let state = parts.next();
    if let Some(parent) = parts.next() {
        span(parent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    context(trace_id, span_id, sampling(state)?)
}

/// `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`, `x-b3-flags`; a debug flag of 1 means sampled.
pub(super) fn parse_multi(
    trace_id: &str,
    span_id: &str,
    state: Option<&str>,
    flags: Option<&str>,
) -> Option<TraceContext> {
    let debug = flags.map(str::trim) == Some("1");
    let stated = sampling(state.map(str::trim))?;
    context(trace_id.trim(), span_id.trim(), if debug { Sampling::Yes } else { stated })
}

/// The value of `b3`.
pub(super) fn single(context: &TraceContext) -> String {
    match state(context) {
        Some(state) => format!("{}-{}-{state}", context.trace_id, context.span_id),
        None => format!("{}-{}", context.trace_id, context.span_id),
    }
}

/// The headers of the form with several.
pub(super) fn multi(context: &TraceContext) -> impl Iterator<Item = (&'static str, String)> {
    let position =
        [("x-b3-traceid", context.trace_id.to_string()), ("x-b3-spanid", context.span_id.to_string())];
    let state = state(context).map(|state| ("x-b3-sampled", state.to_owned()));
    position.into_iter().chain(state)
}

fn state(context: &TraceContext) -> Option<&'static str> {
    match (context.deferred, context.flags.sampled()) {
        (true, _) => None,
        (false, true) => Some("1"),
        (false, false) => Some("0"),
    }
}

/// What a caller says of sampling.
enum Sampling {
    Yes,
    No,
    /// Whoever reads it decides.
    Deferred,
}

fn sampling(state: Option<&str>) -> Option<Sampling> {
    match state {
        Some("1" | "d" | "true") => Some(Sampling::Yes),
        Some("0" | "false") => Some(Sampling::No),
        None => Some(Sampling::Deferred),
        Some(_) => None,
    }
}

fn context(trace_id: &str, span_id: &str, sampling: Sampling) -> Option<TraceContext> {
    // The random bit is for ids of level 2's own making.
    let flags = TraceFlags::new(matches!(sampling, Sampling::Yes), false);
    let deferred = matches!(sampling, Sampling::Deferred);
    Some(TraceContext { deferred, ..TraceContext::new(trace(trace_id)?, span(span_id)?, flags) })
}

fn trace(text: &str) -> Option<TraceId> {
    let mut bytes = [0; 16];
    match text.len() {
        32 => bytes = parse_hex(text.as_bytes())?,
        16 => bytes[8..].copy_from_slice(&parse_hex::<8>(text.as_bytes())?),
        _ => return None,
    }
    TraceId::from_bytes(bytes)
}

fn span(text: &str) -> Option<SpanId> {
    SpanId::from_hex(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    #[test]
    fn both_forms_round_trip() {
        let context = parse_single(&format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90")).unwrap();
        assert!(context.flags.sampled() && !context.flags.random());
        assert_eq!(parse_single(&single(&context)), Some(context.clone()));
        let headers: Vec<_> = multi(&context).collect();
        let [(_, trace_id), (_, span_id), (_, state)] = &headers[..] else { panic!("{headers:?}") };
        assert_eq!(parse_multi(trace_id, span_id, Some(state), None), Some(context));
    }

    #[test]
    fn without_a_state_the_decision_is_left_open_on_every_way() {
        let context = parse_single(&format!("{TRACE}-{SPAN}")).unwrap();
        assert!(context.deferred && !context.flags.sampled());
        assert_eq!(parse_multi(TRACE, SPAN, None, None), Some(context.clone()));
        assert_eq!(single(&context), format!("{TRACE}-{SPAN}"));
        assert!(multi(&context).all(|(name, _)| name != "x-b3-sampled"));
        assert!(!parse_single(&format!("{TRACE}-{SPAN}-0")).unwrap().deferred);
        assert!(!parse_multi(TRACE, SPAN, None, Some("1")).unwrap().deferred);
    }

    #[test]
    fn short_ids_are_padded_and_debug_is_sampled() {
        let short = parse_single(&format!("64fe8b2a57d3eff7-{SPAN}-d")).unwrap();
        assert_eq!(short.trace_id.to_string(), "000000000000000064fe8b2a57d3eff7");
        assert!(short.flags.sampled());
        assert!(parse_multi(TRACE, SPAN, None, Some("1")).unwrap().flags.sampled());
        assert!(!parse_multi(TRACE, SPAN, None, None).unwrap().flags.sampled());
    }

    #[test]
    fn malformed_values_are_refused() {
        let upper = TRACE.to_uppercase();
        let long = format!("{TRACE}-{SPAN}-1-{SPAN}-1");
        let bad = [
            "",
            "0",
            "1",
            "d",
            "-",
            TRACE,
            &format!("{TRACE}-"),
            &format!("{upper}-{SPAN}-1"),
            &format!("{TRACE}-{SPAN}-2"),
            &format!("{TRACE}-{SPAN}-"),
            &format!("{TRACE}-0000000000000000-1"),
            &format!("{}-{SPAN}-1", "0".repeat(32)),
            &format!("{TRACE}-{SPAN}-1-xyz"),
            &long,
            &format!("{TRACE}f-{SPAN}-1"),
        ];
        for value in bad {
            assert_eq!(parse_single(value), None, "{value}");
        }
        assert_eq!(parse_multi(TRACE, "", Some("1"), None), None);
        assert_eq!(parse_multi(TRACE, SPAN, Some("yes"), None), None);
    }
}
