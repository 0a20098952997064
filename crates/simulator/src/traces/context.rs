//! The caller's W3C Trace Context (<https://www.w3.org/TR/trace-context-2/>), as far as an engine needs it.

use http::{HeaderMap, HeaderValue};

/// Who asks, as the headers tell it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// No context, or one that breaks the rules.
    Absent,
    /// A context whose sampled flag is clear.
    Unsampled,
    /// A context to continue.
    Sampled(Parent),
}

/// The span that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) flags: u8,
    /// `tracestate` as it came, its headers joined.
    pub(super) state: String,
}

pub(super) fn caller(headers: &HeaderMap) -> Caller {
    let mut values = headers.get_all("traceparent").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Caller::Absent };
    let Some(mut parent) = value.to_str().ok().and_then(|text| parse(text.trim())) else {
        return Caller::Absent;
    };
    if parent.flags & 1 == 0 {
        return Caller::Unsampled;
    }
    let states: Vec<&str> =
        headers.get_all("tracestate").iter().map(HeaderValue::to_str).filter_map(Result::ok).collect();
    parent.state = states.join(",");
    Caller::Sampled(parent)
}

/// Reads `00-TRACE-SPAN-FLAGS`; a later version may go on after another dash.
fn parse(text: &str) -> Option<Parent> {
    let mut parts = text.splitn(5, '-');
    let [version] = hex(parts.next()?)?;
    let (trace_id, span_id, [flags]) = (hex(parts.next()?)?, hex(parts.next()?)?, hex(parts.next()?)?);
    let has_more = parts.next().is_some();
    let is_valid = version != 0xff && !(version == 0 && has_more) && trace_id != [0; 16] && span_id != [0; 8];
    is_valid.then(|| Parent { trace_id, span_id, flags, state: String::new() })
}

/// Exactly `N` bytes in lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_lower = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[&str]) -> Caller {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", value.parse().unwrap());
        }
        headers.append("tracestate", "a=1".parse().unwrap());
        headers.append("tracestate", "b=2".parse().unwrap());
        caller(&headers)
    }

    #[test]
    fn a_sampled_caller_is_continued() {
        let Caller::Sampled(parent) = told(&["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
        else {
            panic!("it is sampled");
        };
        assert_eq!((parent.trace_id[0], parent.span_id[7], parent.flags), (0x4b, 0xb7, 1));
        assert_eq!(parent.state, "a=1,b=2");
    }

    #[test]
    fn an_unsampled_caller_is_respected_and_a_broken_one_is_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        assert_eq!(told(&[&format!("00-{id}-00")]), Caller::Unsampled);
        assert!(matches!(told(&[&format!("cc-{id}-01-more")]), Caller::Sampled(_)));
        let (zero, upper) = (id.replace(|digit: char| digit != '-', "0"), id.to_uppercase());
        for broken in [
            format!("ff-{id}-01"),
            format!("00-{id}-01-more"),
            format!("00-{zero}-01"),
            format!("00-{upper}-01"),
            format!("00-{id}"),
            String::new(),
        ] {
            assert_eq!(told(&[&broken]), Caller::Absent, "{broken}");
        }
        let twice = format!("00-{id}-01");
        assert_eq!(told(&[&twice, &twice]), Caller::Absent);
        assert_eq!(told(&[]), Caller::Absent);
    }
}
