//! W3C Baggage (<https://www.w3.org/TR/baggage/>): the caller's own keys and values, passed on as they came or not at all.

/// At most this many members; the specification asks for at least 64.
pub const MAX_MEMBERS: usize = 180;

/// At most this many bytes in all; the specification asks for at least 8192.
pub const MAX_BYTES: usize = 8192;

/// Joins the header's values in order, without empty members. `None` if there is nothing, or if anything is malformed or
/// beyond the bounds: half of somebody's baggage is worse than none.
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let mut joined = String::new();
    let mut members = 0;
    for value in values {
        for member in std::str::from_utf8(value).ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            members += 1;
            if !is_member(member) || members > MAX_MEMBERS {
                return None;
            }
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(member);
            if joined.len() > MAX_BYTES {
                return None;
            }
        }
    }
    (!joined.is_empty()).then_some(joined)
}

/// `key = value *( ; property )`, where a property is a key with or without a value.
fn is_member(member: &str) -> bool {
    let mut parts = member.split(';');
    let named = parts.next().and_then(|first| first.split_once('='));
    let Some((key, value)) = named else { return false };
    is_key(key)
        && is_value(value)
        && parts.all(|property| match property.split_once('=') {
            Some((key, value)) => is_key(key) && is_value(value),
            None => is_key(property),
        })
}

/// A token of HTTP (RFC 9110, section 5.6.2).
fn is_key(key: &str) -> bool {
    let key = key.trim_matches([' ', '\t']);
    !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `baggage-octet`: printable ASCII without blanks, `"`, `,`, `;` and `\`.
fn is_value(value: &str) -> bool {
    let value = value.trim_matches([' ', '\t']);
    value.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && !matches!(byte, b'"' | b',' | b';' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(values: &[&str]) -> Option<String> {
        parse(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn members_pass_as_they_came() {
        let spaced = "userId = alice ; secret , serverNode=DF%2028;p=1;q";
        assert_eq!(
            joined(&[spaced, "", "a="]).as_deref(),
            Some("userId = alice ; secret,serverNode=DF%2028;p=1;q,a=")
        );
        assert_eq!(joined(&[]), None);
        let many: Vec<String> = (0..64).map(|n| format!("k{n}={}", "v".repeat(120))).collect();
        assert_eq!(joined(&[&many.join(",")]).map(|all| all.len()), Some(many.join(",").len()));
    }

    #[test]
    fn malformed_or_oversize_baggage_goes_as_a_whole() {
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("k{n}=v")).collect();
        let long = format!("k={}", "v".repeat(MAX_BYTES));
        for bad in ["a", "=b", "a b=c", "a=b c", "a=\"b\"", "a=b;=c", "a=\u{e4}", &many.join(","), &long] {
            assert_eq!(joined(&["ok=1", bad]), None, "{}", &bad[..bad.len().min(40)]);
        }
    }
}
