//! String literals: from escapes to text, and back.

use std::borrow::Cow;

/// Decodes what stands between the quotes of a scanned literal. A lone surrogate (JavaScript's `JSON.stringify`
/// writes one for a string cut inside a pair) becomes U+FFFD, as backends read on as well.
pub(crate) fn decode(body: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', body.as_bytes()) else { return body.into() };
    let mut text = String::with_capacity(body.len());
    let (plain, mut rest) = body.split_at(first);
    text.push_str(plain);
    while !rest.is_empty() {
        rest = push_escape(rest, &mut text);
        let next = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        let (plain, after) = rest.split_at(next);
        text.push_str(plain);
        rest = after;
    }
    text.into()
}

/// Encodes a text as a JSON string with its quotes.
pub(crate) fn encode(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Encodes a text as what stands between the quotes of a JSON string.
pub(crate) fn encode_body(text: &str) -> String {
    let mut literal = encode(text);
    literal.pop();
    literal.remove(0);
    literal
}

/// Appends the character of the escape at the front of `rest` and returns what follows it.
fn push_escape<'a>(rest: &'a str, text: &mut String) -> &'a str {
    let plain = match rest.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return push_unicode(rest, text),
        Some(byte) => char::from(*byte),
        None => char::REPLACEMENT_CHARACTER,
    };
    text.push(plain);
    rest.get(2..).unwrap_or_default()
}

/// `\uXXXX`, or two of them that make a surrogate pair.
fn push_unicode<'a>(rest: &'a str, text: &mut String) -> &'a str {
    let unit = |at: usize| rest.get(at..at + 4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let high = unit(2).unwrap_or(0xFFFD);
    let low = rest.get(6..8).filter(|escape| *escape == "\\u").and_then(|_| unit(8));
    let mut decoded = char::decode_utf16([high].into_iter().chain(low));
    let first = decoded.next().and_then(Result::ok);
    text.push(first.unwrap_or(char::REPLACEMENT_CHARACTER));
    let consumed = if first.is_some_and(|character| character > '\u{FFFF}') { 12 } else { 6 };
    rest.get(consumed..).unwrap_or_default()
}
