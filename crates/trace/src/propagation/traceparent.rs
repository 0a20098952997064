//! The `traceparent` header: `version-traceid-parentid-flags`.

use super::{TraceContext, TraceFlags};
use crate::ids::parse_hex;
use crate::{SpanId, TraceId};

/// Length of a version 00 value.
const LENGTH: usize = 55;

/// Parses one value. Version 00 is exactly 55 bytes; a later version may go on after a further `-`; version
/// `ff`, upper-case hex and all-zero ids are refused.
pub(super) fn parse(value: &[u8]) -> Option<TraceContext> {
    let value = value.trim_ascii();
    if value.len() < LENGTH || value[2] != b'-' || value[35] != b'-' || value[52] != b'-' {
        return None;
    }
    let [version] = parse_hex::<1>(&value[0..2])?;
    let well_ended = match version {
        0xff => false,
        0 => value.len() == LENGTH,
        _ => value.len() == LENGTH || value[LENGTH] == b'-',
    };
    if !well_ended {
        return None;
    }
    let trace_id = TraceId::from_bytes(parse_hex(&value[3..35])?)?;
    let span_id = SpanId::from_bytes(parse_hex(&value[36..52])?)?;
    let [flags] = parse_hex::<1>(&value[53..55])?;
    Some(TraceContext::new(trace_id, span_id, TraceFlags::from_byte(flags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_value_round_trips() {
        let context = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(context.traceparent(), GOOD);
        assert_eq!(parse(format!(" \t{GOOD}  ").as_bytes()), Some(context));
    }

    #[test]
    fn unknown_flags_are_cleared_and_later_versions_may_go_on() {
        let flags = |text: &str| parse(text.as_bytes()).map(|context| context.flags.byte());
        assert_eq!(flags(&GOOD.replace("-01", "-ff")), Some(0x03));
        assert_eq!(flags(&GOOD.replacen("00", "cc", 1)), Some(0x01));
        assert_eq!(flags(&format!("{}-what", GOOD.replacen("00", "cc", 1))), Some(0x01));
        assert_eq!(flags(&format!("{}.what", GOOD.replacen("00", "cc", 1))), None);
    }

    #[test]
    fn malformed_values_are_refused() {
        let zero_trace = GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
        let zero_span = GOOD.replace("b7ad6b7169203331", &"0".repeat(16));
        let bad = [
            "".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-what"),
            format!("{GOOD}-"),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", ".0", 1),
            GOOD.to_uppercase(),
            GOOD.replace('-', "_"),
            zero_trace,
            zero_span,
        ];
        for value in bad {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }
}
