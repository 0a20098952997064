//! Masking: each distinct value becomes a numbered placeholder, and an answer's placeholders become the values again.
//!
//! Invariants: the same value of the same type always gets the same placeholder within one [`Masker`]; a placeholder that a text
//! already contains is never given to a value, so that unmasking the masked text restores it exactly; values appear in no
//! `Debug` output.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::ports::PiiEntity;

/// Masks the texts of one request with one numbering.
#[derive(Default)]
pub struct Masker {
    placeholders: HashMap<(&'static str, String), String>,
    used: HashMap<&'static str, usize>,
    reserved: HashSet<String>,
}

impl Masker {
    /// Replaces `entities` (sorted, as found in `text`) by placeholders such as `[EMAIL_ADDRESS_1]`. Entities that do not fit the text are left out.
    pub fn mask(&mut self, text: &str, entities: &[PiiEntity]) -> String {
        self.reserved.extend(placeholders_in(text).map(|(_, placeholder)| placeholder.to_owned()));
        let mut masked = String::with_capacity(text.len());
        let mut position = 0;
        for entity in entities {
            let (Some(before), Some(value)) =
                (text.get(position..entity.start), text.get(entity.start..entity.end))
            else {
                continue;
            };
            masked.push_str(before);
            masked.push_str(self.placeholder(entity.kind, value));
            position = entity.end;
        }
        masked.push_str(text.get(position..).unwrap_or_default());
        masked
    }

    /// What restores the values in an answer.
    #[must_use]
    pub fn into_map(self) -> MaskMap {
        let values =
            self.placeholders.into_iter().map(|((_, value), placeholder)| (placeholder, value)).collect();
        MaskMap { values }
    }

    fn placeholder(&mut self, kind: &'static str, value: &str) -> &str {
        let (used, reserved) = (self.used.entry(kind).or_default(), &self.reserved);
        self.placeholders.entry((kind, value.to_owned())).or_insert_with(|| {
            loop {
                *used += 1;
                let placeholder = format!("[{kind}_{used}]");
                if !reserved.contains(&placeholder) {
                    return placeholder;
                }
            }
        })
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Masker({} values)", self.placeholders.len())
    }
}

/// Placeholders and the values that they stand for. Holds personal data; `Debug` prints the placeholders only.
#[derive(Clone, Default)]
pub struct MaskMap {
    values: HashMap<String, String>,
}

impl MaskMap {
    /// Whether nothing was masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of distinct values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Replaces every known placeholder in `text` by its value.
    #[must_use]
    pub fn unmask(&self, text: &str) -> String {
        let mut unmasked = String::with_capacity(text.len());
        let mut position = 0;
        for (start, placeholder) in placeholders_in(text) {
            let Some(value) = self.values.get(placeholder) else { continue };
            unmasked.push_str(&text[position..start]);
            unmasked.push_str(value);
            position = start + placeholder.len();
        }
        unmasked.push_str(&text[position..]);
        unmasked
    }

    /// Where the tail of a streamed text starts that may be the first part of a placeholder and has to be held back
    /// until more has come; the length of the text where nothing has to wait.
    #[must_use]
    pub fn hold_back(&self, text: &str) -> usize {
        let Some(open) = memchr::memrchr(b'[', text.as_bytes()) else { return text.len() };
        let tail = &text[open..];
        match self
            .values
            .keys()
            .any(|placeholder| placeholder.len() > tail.len() && placeholder.starts_with(tail))
        {
            true => open,
            false => text.len(),
        }
    }
}

impl fmt::Debug for MaskMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut placeholders: Vec<&str> = self.values.keys().map(String::as_str).collect();
        placeholders.sort_unstable();
        formatter.debug_tuple("MaskMap").field(&placeholders).finish()
    }
}

/// Every part of `text` of the form `[LETTERS_AND_UNDERSCORES_DIGITS]` with its first byte, in order.
fn placeholders_in(text: &str) -> impl Iterator<Item = (usize, &str)> {
    memchr::memchr_iter(b'[', text.as_bytes()).filter_map(|open| {
        let rest = &text[open + 1..];
        let length = rest.bytes().take(MAX_PLACEHOLDER_BYTES).position(|byte| !is_placeholder_byte(byte))?;
        let closed = length > 0 && rest.as_bytes().get(length) == Some(&b']');
        closed.then(|| (open, &text[open..open + length + 2]))
    })
}

/// Longer than any type's name with a number of twenty digits.
const MAX_PLACEHOLDER_BYTES: usize = 48;

fn is_placeholder_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(text: &str, value: &str) -> PiiEntity {
        let start = text.find(value).unwrap();
        PiiEntity { kind: "EMAIL_ADDRESS", start, end: start + value.len(), confidence: 1.0 }
    }

    #[test]
    fn the_same_value_gets_the_same_placeholder_and_comes_back() {
        let mut masker = Masker::default();
        let first = "write to a@b.de and c@d.de";
        let masked = masker.mask(first, &[entity(first, "a@b.de"), entity(first, "c@d.de")]);
        assert_eq!(masked, "write to [EMAIL_ADDRESS_1] and [EMAIL_ADDRESS_2]");
        let second = "again a@b.de";
        assert_eq!(masker.mask(second, &[entity(second, "a@b.de")]), "again [EMAIL_ADDRESS_1]");
        let map = masker.into_map();
        assert_eq!(map.unmask(&masked), first);
        assert!(!format!("{map:?}").contains("a@b.de"));
    }

    #[test]
    fn a_placeholder_in_the_prompt_is_never_given_to_a_value() {
        let text = "[EMAIL_ADDRESS_1] is a@b.de";
        let mut masker = Masker::default();
        let masked = masker.mask(text, &[entity(text, "a@b.de")]);
        assert_eq!(masked, "[EMAIL_ADDRESS_1] is [EMAIL_ADDRESS_2]");
        assert_eq!(masker.into_map().unmask(&masked), text);
    }
}
