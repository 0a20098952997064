//! The `tracestate` header: vendors' state, passed on as it came or not at all.

use std::sync::Arc;

/// At most this many members.
const MAX_MEMBERS: usize = 32;

/// At most this many bytes in a value, and in a key.
const MAX_LENGTH: usize = 256;

/// At most this many bytes before the `@` of a key with two parts, and behind it.
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;

/// A valid `tracestate`, or nothing. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl TraceState {
    /// Joins the header's values in order. Empty members are skipped, and of a repeated key the first member, which is the
    /// latest that was written, stays; one bad member or more than 32 members drop all (`None`).
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<TraceState> {
        let mut keys: Vec<&str> = Vec::new();
        let mut members = 0;
        let mut joined = String::new();
        for value in values {
            for member in std::str::from_utf8(value).ok()?.split(',') {
                let member = member.trim_matches([' ', '\t']);
                if member.is_empty() {
                    continue;
                }
                let (key, value) = member.split_once('=')?;
                members += 1;
                if !valid_key(key) || !valid_value(value) || members > MAX_MEMBERS {
                    return None;
                }
                if keys.contains(&key) {
                    continue;
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

/// A word of at most 256 bytes, or `tenant@system` as level 1 has it. Level 2 takes an `@` anywhere after the first
/// character; its test suite does not, and nothing in use needs it.
fn valid_key(key: &str) -> bool {
    match key.split_once('@') {
        None => valid_word(key, MAX_LENGTH),
        Some((tenant, system)) => {
            let named = system.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
            named && valid_word(tenant, MAX_TENANT) && valid_word(system, MAX_SYSTEM)
        }
    }
}

fn valid_word(word: &str, longest: usize) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    word.bytes().next().is_some_and(alphanumeric)
        && word.len() <= longest
        && word.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/'))
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
        assert_eq!(parse(&["foo=1,bar=2,foo=3", "foo=4"]), Some("foo=1,bar=2".to_owned()));
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
        for bad in ["foo", "foo =1", "FOO=1", "foo=", "foo=1=2", "foo@=1,ba r=2", "a=\u{e9}", "foo@bar@baz=1"]
        {
            assert_eq!(parse(&["ok=1", bad]), None, "{bad}");
        }
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert!(parse(&[&many(32)]).is_some());
        assert_eq!(parse(&[&many(33)]), None);
        assert!(parse(&[&format!("{}=v", "k".repeat(256))]).is_some());
        assert_eq!(parse(&[&format!("{}=v", "k".repeat(257))]), None);
    }
}
