//! The only way in which text from outside enters a record.
//!
//! [`Text`] is bounded in length and free of credentials: bearer tokens, provider keys and passwords in URLs
//! are replaced before the text is kept, so that no exporter, log line or error can leak what it never had.
//! It is not a PII recogniser: prompts and answers never become `Text`; see [`crate::content`].

use std::fmt;
use std::sync::Arc;

/// What stands in place of a credential.
pub const REDACTED: &str = "__REDACTED__";

/// Texts are cut to this many bytes, at a character boundary.
pub const MAX_BYTES: usize = 1024;

/// Bounded text without credentials. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Arc<str>);

impl Text {
    /// Takes in text from outside: control characters become spaces, credentials become [`REDACTED`], and
    /// what exceeds [`MAX_BYTES`] is cut.
    pub fn from_outside(raw: &str) -> Text {
        // Redact before cutting, on a window a little larger than the limit: a key at the edge must not
        // survive because its end was cut off.
        let window = cut(raw, 2 * MAX_BYTES);
        let clean = redact(window);
        Text(Arc::from(cut(&clean, MAX_BYTES)))
    }

    /// Text that this program or its configuration wrote: kept as it is.
    pub fn trusted(text: impl Into<Arc<str>>) -> Text {
        Text(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, out)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, out)
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

pub(crate) fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// Prefixes after which a run of key characters is a credential, with the least length that such a run has.
const KEY_PREFIXES: [(&str, usize); 12] = [
    ("sk-", 8),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("pk_live_", 8),
    ("rk_live_", 8),
    ("AKIA", 12),
    ("ASIA", 12),
    ("ghp_", 16),
    ("github_pat_", 16),
    ("xoxb-", 8),
    ("AIza", 24),
    ("hf_", 16),
];

/// Replaces credentials by [`REDACTED`] and control characters by spaces, at any length: for texts that go to
/// a log line rather than into a record.
pub fn redact(text: &str) -> String {
    scrub(text, |_| false)
}

/// As [`redact`], but lines and tabs stay.
pub(crate) fn redact_keeping_lines(text: &str) -> String {
    scrub(text, |character| matches!(character, '\n' | '\t'))
}

fn scrub(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let at_word_start = clean.chars().next_back().is_none_or(|before| !before.is_ascii_alphanumeric());
        if at_word_start && let Some(length) = credential_length(rest) {
            clean.push_str(REDACTED);
            rest = &rest[length..];
            continue;
        }
        if let Some((kept, length)) = url_password(rest) {
            clean.push_str(kept);
            clean.push_str(REDACTED);
            rest = &rest[length..];
            continue;
        }
        clean.push(if character.is_control() && !stays(character) { ' ' } else { character });
        rest = &rest[character.len_utf8()..];
    }
    clean
}

/// Bytes that a credential at the start of `rest` takes up, scheme word included.
fn credential_length(rest: &str) -> Option<usize> {
    for scheme in ["bearer ", "basic "] {
        let Some(head) = rest.get(..scheme.len()) else { continue };
        if head.eq_ignore_ascii_case(scheme) {
            let value = run(&rest[scheme.len()..], |byte| !byte.is_ascii_whitespace());
            return (value >= 6).then_some(scheme.len() + value);
        }
    }
    KEY_PREFIXES.iter().find_map(|(prefix, least)| {
        let key = rest.strip_prefix(prefix)?;
        let length = run(key, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (length >= *least).then_some(prefix.len() + length)
    })
}

/// For `://user:password@host` at the start of `rest`: what stays (`://`) and how much is replaced with it.
fn url_password(rest: &str) -> Option<(&str, usize)> {
    let after = rest.strip_prefix("://")?;
    let authority = run(after, |byte| !matches!(byte, b'/' | b'?' | b'#' | b' ' | b'\t' | b'\n' | b'"'));
    let at = after[..authority].rfind('@')?;
    Some((&rest[..3], 3 + at))
}

fn run(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    // A run ends at an ASCII byte or at the end, so that it always ends on a character boundary.
    text.bytes().position(|byte| byte.is_ascii() && !belongs(byte)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(raw: &str) -> String {
        Text::from_outside(raw).to_string()
    }

    #[test]
    fn credentials_are_replaced() {
        assert_eq!(clean("key sk-abcdefgh12345678!"), format!("key {REDACTED}!"));
        assert_eq!(clean("Authorization: Bearer abc.def.ghi end"), format!("Authorization: {REDACTED} end"));
        assert_eq!(clean("https://user:pass@host/x"), format!("https://{REDACTED}@host/x"));
        assert_eq!(clean("AKIAIOSFODNN7EXAMPLE"), REDACTED);
    }

    #[test]
    fn ordinary_text_survives() {
        for text in
            ["req-abc-123", "gpt-4", "task-force ask-me", "bearer of news", "https://host/a@b", "größe ✓"]
        {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn length_is_bounded_and_a_key_at_the_edge_does_not_survive() {
        let raw = format!("{}sk-{}", "ä".repeat(MAX_BYTES / 2 - 4), "k".repeat(4000));
        let text = clean(&raw);
        assert!(text.len() <= MAX_BYTES);
        assert!(!text.contains("kkkkkkkk"));
        assert_eq!(clean("a\nb\0c"), "a b c");
    }
}
