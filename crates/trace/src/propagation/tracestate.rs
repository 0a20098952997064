//! The `tracestate` header: vendors' state, passed on as it came or not at all.

use std::sync::Arc;

/// At most this many members.
const MAX_MEMBERS: usize = 32;

/// At most this many bytes in a value, and in a key.
const MAX_LENGTH: usize = 256;

/// A valid `tracestate`, or nothing. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// Joins the header's values in order. Empty members are skipped; one bad member, a repeated key or more
    /// than 32 members drop all (`None`).
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<TraceState> {
        let mut keys: Vec<&str> = Vec::new();
        let mut joined = String::new();
        for value in values {
            for member in std::str::from_utf8(value).ok()?.split(',') {
                let member = member.trim_matches([' ', '\t']);
                if member.is_empty() {
                    continue;
                }
                let (key, value) = member.split_once('=')?;
                if !valid_key(key) || !valid_value(value) || keys.contains(&key) || keys.len() == MAX_MEMBERS
                {
                    return None;
                }
                keys.push(key);
                if !joined.is_empty() {
                    joined.push(',');
                }
                joined.push_str(member);
            }
        }
        Some(TraceState((!joined.is_empty()).then(|| Arc::from(joined))))
    }

    /// The header's value; `None` if there is nothing to send.
    pub fn header(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The value as an exporter may show it: nothing where it holds what looks like a credential. A part of it would be
    /// another vendor's state, so that it is all or nothing.
    pub fn shown(&self) -> Option<&str> {
        self.header().filter(|state| crate::redact(state) == *state)
    }
}

fn valid_key(key: &str) -> bool {
    let first = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first
        && key.len() <= MAX_LENGTH
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
        })
}

fn valid_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_LENGTH
        && !value.ends_with(' ')
        && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Option<String> {
        let state = TraceState::parse(values.iter().map(|value| value.as_bytes()))?;
        Some(state.header().unwrap_or_default().to_owned())
    }

    #[test]
    fn headers_are_joined_in_order_without_empty_members() {
        assert_eq!(parse(&["foo=1 , ,bar=2", "", "baz=3"]), Some("foo=1,bar=2,baz=3".to_owned()));
        assert_eq!(parse(&[]), Some(String::new()));
    }

    #[test]
    fn a_credential_travels_on_but_is_not_shown() {
        let shown = |value: &[u8]| TraceState::parse([value]).unwrap().shown().map(str::to_owned);
        assert_eq!(shown(b"foo=1,bar=2"), Some("foo=1,bar=2".to_owned()));
        assert_eq!(shown(b"foo=1,bar=sk-proj4bcd3fgh1jklmn0p"), None);
        assert!(parse(&["bar=sk-proj4bcd3fgh1jklmn0p"]).unwrap().contains("sk-"));
    }

    #[test]
    fn one_bad_member_drops_all() {
        for bad in ["foo", "foo =1", "FOO=1", "foo=", "foo=1=2", "foo@=1,ba r=2", "a=\u{e9}", "foo=1,foo=2"] {
            assert_eq!(parse(&["ok=1", bad]), None, "{bad}");
        }
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert!(parse(&[&many(32)]).is_some());
        assert_eq!(parse(&[&many(33)]), None);
        assert!(parse(&[&format!("{}=v", "k".repeat(256))]).is_some());
        assert_eq!(parse(&[&format!("{}=v", "k".repeat(257))]), None);
    }
}
