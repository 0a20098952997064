//! Replacements of byte ranges, applied all at once.

use bytes::{Bytes, BytesMut};

use super::Span;

/// Replacements in any order. Of two that overlap, the one that begins first (the wider, where both begin
/// together) stands, and the other, whose bytes are gone, is dropped.
#[derive(Debug, Default)]
pub(crate) struct Splices {
    splices: Vec<(Span, String)>,
}

impl Splices {
    pub(crate) fn replace(&mut self, span: Span, with: String) {
        self.splices.push((span, with));
    }

    pub(crate) fn insert(&mut self, at: u32, text: String) {
        self.replace(Span { start: at, end: at }, text);
    }

    /// The edited body; the same bytes, not a copy, when there is nothing to replace.
    pub(crate) fn apply(mut self, body: &Bytes) -> Bytes {
        if self.splices.is_empty() {
            return body.clone();
        }
        // Insertions come before a replacement at the same place; insertions at one place keep their order.
        self.splices.sort_by_key(|(span, _)| (span.start, span.end > span.start, u32::MAX - span.end));
        let added = self.splices.iter().map(|(_, with)| with.len()).sum::<usize>();
        let mut edited = BytesMut::with_capacity(body.len() + added);
        let mut copied = 0;
        for (span, with) in &self.splices {
            let range = span.range();
            if range.start < copied {
                continue;
            }
            edited.extend_from_slice(body.get(copied..range.start).unwrap_or_default());
            edited.extend_from_slice(with.as_bytes());
            copied = range.end;
        }
        edited.extend_from_slice(body.get(copied..).unwrap_or_default());
        edited.freeze()
    }
}
