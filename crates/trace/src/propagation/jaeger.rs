//! Jaeger's own header, `uber-trace-id: {trace id}:{span id}:{parent span id}:{flags}`
//! (<https://www.jaegertracing.io/docs/1.57/client-libraries/#propagation-format>).
//!
//! Leading zeros of ids may be missing. The deprecated parent is read and ignored.

use super::{TraceContext, TraceFlags};
use crate::ids::parse_hex;
use crate::{SpanId, TraceId};

/// Reads a value. Clients that escape headers write the colons as `%3A`.
pub(super) fn parse(value: &str) -> Option<TraceContext> {
    let value = value.trim_matches([' ', '\t']).replace("%3A", ":").replace("%3a", ":");
    let mut parts = value.split(':');
    let (Some(trace_id), Some(span_id), Some(parent), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    padded::<8>(parent)?;
    let [flags] = padded::<1>(flags)?;
    let trace_id = TraceId::from_bytes(padded(trace_id)?)?;
    let span_id = SpanId::from_bytes(padded(span_id)?)?;
    // Bit 0 is sampled; bit 1 is debug, which implies it.
    Some(TraceContext::new(trace_id, span_id, TraceFlags::new(flags & 0x03 != 0, false)))
}

/// The value to send.
pub(super) fn format(context: &TraceContext) -> String {
    format!("{}:{}:0:{}", context.trace_id, context.span_id, u8::from(context.flags.sampled()))
}

/// Hex of up to `2 * N` digits, with zeros on the left.
fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.is_empty() || text.len() > 2 * N {
        return None;
    }
    let mut digits = vec![b'0'; 2 * N - text.len()];
    digits.extend_from_slice(text.as_bytes());
    parse_hex(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_with_or_without_leading_zeros() {
        let context = parse("7f04c6f4a5a0e1:abcdef:0:1").unwrap();
        assert_eq!(context.trace_id.to_string(), "0000000000000000007f04c6f4a5a0e1");
        assert_eq!(context.span_id.to_string(), "0000000000abcdef");
        assert!(context.flags.sampled() && !context.flags.random());
        assert_eq!(parse(&format(&context)), Some(context.clone()));
        assert_eq!(
            parse("7f04c6f4a5a0e1%3Aabcdef%3A0%3A2").map(|context| context.flags.sampled()),
            Some(true)
        );
        assert_eq!(parse("1:2:0:0").map(|context| context.flags.sampled()), Some(false));
    }

    #[test]
    fn malformed_values_are_refused() {
        let long = format!("{}:1:0:1", "1".repeat(33));
        for bad in
            ["", ":", "1:2:0", "1:2:0:1:1", "0:2:0:1", "1:0:0:1", "x:2:0:1", "1:2:0:g", "1:2::1", &long]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
