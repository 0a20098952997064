//! Finding entities: a look at the bytes, the recognisers that they call for, then the best of what overlaps.
//!
//! It is not where forms are defined; those are in [`super::network`], [`super::numbers`], [`super::secrets`] and
//! [`super::time`]. Invariant: a text without digit, `@`, `::` or a dot inside a word costs one pass over its bytes.

use super::fold::Folded;
use super::network::Network;
use super::numbers::Numbers;
use super::secrets::Secrets;
use super::time::Time;
use super::{PiiEntity, PiiType};
use crate::leave::{Leave, PIECE_BYTES};
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;

/// The compiled recognisers.
#[derive(Debug)]
pub(super) struct Scan {
    network: Network,
    numbers: Numbers,
    secrets: Secrets,
    time: Time,
}

/// What the bytes of a text can hold at all.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Signs {
    pub(super) digits: usize,
    pub(super) at: bool,
    /// A dot between letters or digits.
    pub(super) inner_dot: bool,
    pub(super) double_colon: bool,
    /// Bytes of the longest run without white space.
    pub(super) longest_run: usize,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self { network: Network::new(), numbers: Numbers::new(), secrets: Secrets::new(), time: Time::new() }
    }

    pub(super) fn find<E>(&self, text: &str, leave: &mut Leave<'_, E>) -> Result<Vec<PiiEntity>, E> {
        let mut found = self.all(text, leave)?;
        // Both readings count: what is found in the text as it is written is never lost by reading it otherwise.
        let folded = if text.is_ascii() { None } else { Folded::of(text, leave)? };
        if let Some(folded) = folded {
            found.extend(self.all(&folded.text, leave)?.into_iter().map(|hit| {
                let (start, end) = folded.original(hit.start, hit.end);
                PiiEntity { start, end, ..hit }
            }));
        }
        if found.is_empty() {
            return Ok(found);
        }
        best_without_overlap(found, leave)
    }

    /// All that is found, overlapping.
    fn all<E>(&self, text: &str, leave: &mut Leave<'_, E>) -> Result<Vec<PiiEntity>, E> {
        let signs = Signs::of(text, leave)?;
        if signs.digits == 0 && !signs.at && !signs.inner_dot && !signs.double_colon {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut pass = || leave(text.len());
        self.network.find(text, signs, &mut found, &mut pass)?;
        if signs.digits > 0 {
            self.numbers.find(text, signs, &mut found, &mut pass)?;
            self.secrets.find(text, signs, &mut found, &mut pass)?;
            self.time.find(text, &mut found, &mut pass)?;
        }
        Ok(found)
    }
}

impl Signs {
    fn of<E>(text: &str, leave: &mut Leave<'_, E>) -> Result<Self, E> {
        let mut signs = Self::default();
        let mut so_far = SoFar { before: b' ', run: 0 };
        for start in (0..text.len()).step_by(PIECE_BYTES) {
            let end = text.len().min(start + PIECE_BYTES);
            leave(end - start)?;
            signs.read(text.as_bytes(), start..end, &mut so_far);
        }
        Ok(signs)
    }

    #[inline]
    fn read(&mut self, bytes: &[u8], piece: Range<usize>, so_far: &mut SoFar) {
        let after_piece = bytes.get(piece.end).copied().unwrap_or(b' ');
        let piece = bytes.get(piece).unwrap_or_default();
        let SoFar { mut before, mut run } = *so_far;
        for (index, byte) in piece.iter().copied().enumerate() {
            run = if byte <= b' ' { 0 } else { run + 1 };
            self.longest_run = self.longest_run.max(run);
            match byte {
                b'0'..=b'9' => self.digits += 1,
                b'@' => self.at = true,
                b':' => self.double_colon |= before == b':',
                b'.' => {
                    let after = piece.get(index + 1).copied().unwrap_or(after_piece);
                    self.inner_dot |= before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric();
                }
                _ => {}
            }
            before = byte;
        }
        *so_far = SoFar { before, run };
    }
}

/// What the bytes before a piece leave to the next.
#[derive(Clone, Copy)]
struct SoFar {
    before: u8,
    /// Bytes since the last white space.
    run: usize,
}

/// Compiles a pattern of the program's own tables.
#[expect(
    clippy::expect_used,
    reason = "the patterns are part of the program; every test that finds anything compiles them all"
)]
pub(super) fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of the built-in tables is valid")
}

/// Makes an entity.
pub(super) fn entity(kind: PiiType, start: usize, end: usize, confidence: f32) -> PiiEntity {
    PiiEntity { kind, start, end, confidence }
}

/// Whether no letter or digit touches the part of `text` from `start` to `end`.
pub(super) fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    let touches = |index: Option<usize>| {
        index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_alphanumeric)
    };
    !touches(start.checked_sub(1)) && !touches(Some(end))
}

/// Asked for leave before a pass over the text.
pub(super) type Pass<'a, E> = dyn FnMut() -> Result<(), E> + 'a;

/// Keeps the surest, then the longest, of entities that overlap; sorted by position.
fn best_without_overlap<E>(mut found: Vec<PiiEntity>, leave: &mut Leave<'_, E>) -> Result<Vec<PiiEntity>, E> {
    leave(size_of_val(found.as_slice()))?;
    let length = |entity: &PiiEntity| entity.end - entity.start;
    found.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then(length(b).cmp(&length(a))).then(a.start.cmp(&b.start))
    });
    let mut kept: BTreeMap<usize, PiiEntity> = BTreeMap::new();
    for some in found.chunks(PIECE_BYTES / size_of::<PiiEntity>()) {
        leave(size_of_val(some))?;
        for entity in some {
            let before = kept.range(..entity.end).next_back();
            if before.is_none_or(|(_, before)| before.end <= entity.start) {
                kept.insert(entity.start, *entity);
            }
        }
    }
    Ok(kept.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leave::always;

    #[test]
    fn signs_are_seen_across_pieces() {
        let filler = "x".repeat(PIECE_BYTES - 1);
        for seam in [".a", ":: ", "@"] {
            let Ok(signs) = Signs::of(&format!("{filler}{seam}"), &mut always);
            assert!(signs.inner_dot || signs.double_colon || signs.at, "{seam}");
            let Ok(signs) = Signs::of(&format!("{}{seam}", &filler[1..]), &mut always);
            assert!(signs.inner_dot || signs.double_colon || signs.at, "{seam}");
        }
        let Ok(signs) = Signs::of(&"x".repeat(2 * PIECE_BYTES + 7), &mut always);
        assert_eq!(signs.longest_run, 2 * PIECE_BYTES + 7);
    }

    #[test]
    fn the_surest_wins_where_entities_overlap() {
        let kind = PiiType::Age;
        let found = vec![
            entity(kind, 0, 10, 0.5),
            entity(kind, 8, 12, 0.9),
            entity(kind, 12, 14, 0.1),
            entity(kind, 9, 11, 0.9),
        ];
        let Ok(kept) = best_without_overlap(found, &mut always);
        let kept: Vec<(usize, usize)> = kept.iter().map(|e| (e.start, e.end)).collect();
        assert_eq!(kept, [(8, 12), (12, 14)]);
    }

    #[test]
    fn plain_prose_has_no_signs() {
        let Ok(signs) = Signs::of("Write a haiku about tea. And one about rain: quietly.", &mut always);
        assert!(signs.digits == 0 && !signs.at && !signs.inner_dot && !signs.double_colon);
        assert_eq!(signs.longest_run, 8);
    }
}
