//! Masking: each distinct value becomes a numbered placeholder, and an answer's placeholders become the values again.
//!
//! Invariants: the same value of the same type always gets the same placeholder within one [`Masker`]; a placeholder that a text
//! already contains is never given to a value, so that unmasking the masked text restores it exactly; values appear in no
//! `Debug` output.

use super::{PiiEntity, PiiType};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Replaces `entities` (sorted, as found in `text`) by placeholders such as `[EMAIL_ADDRESS_1]`.
#[must_use]
pub fn mask(text: &str, entities: &[PiiEntity]) -> String {
    Masker::default().mask(text, entities)
}

/// Masks the texts of one request with one numbering.
#[derive(Default)]
pub struct Masker {
    placeholders: HashMap<(PiiType, String), String>,
    used: HashMap<PiiType, usize>,
    reserved: HashSet<String>,
}

impl Masker {
    /// Masks one more text; see [`mask`]. Entities that do not fit the text are left out.
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

    fn placeholder(&mut self, kind: PiiType, value: &str) -> &str {
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
