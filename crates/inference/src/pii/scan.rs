//! Finding entities: a look at the bytes, the recognisers that they call for, then the best of what overlaps.
//!
//! It is not where forms are defined; those are in [`super::network`], [`super::numbers`], [`super::secrets`] and
//! [`super::time`]. Invariant: a text without digit, `@`, `::` or a dot inside a word costs one pass over its bytes.

use super::network::Network;
use super::numbers::Numbers;
use super::secrets::Secrets;
use super::time::Time;
use super::{PiiEntity, PiiType};
use regex::Regex;
use std::collections::BTreeMap;

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

    pub(super) fn find(&self, text: &str) -> Vec<PiiEntity> {
        let signs = Signs::of(text.as_bytes());
        if signs.digits == 0 && !signs.at && !signs.inner_dot && !signs.double_colon {
            return Vec::new();
        }
        let mut found = Vec::new();
        self.network.find(text, signs, &mut found);
        if signs.digits > 0 {
            self.numbers.find(text, signs, &mut found);
            self.secrets.find(text, signs, &mut found);
            self.time.find(text, &mut found);
        }
        best_without_overlap(found)
    }
}

impl Signs {
    fn of(bytes: &[u8]) -> Self {
        let mut signs = Self::default();
        let (mut before, mut run) = (b' ', 0);
        for (index, byte) in bytes.iter().copied().enumerate() {
            run = if byte <= b' ' { 0 } else { run + 1 };
            signs.longest_run = signs.longest_run.max(run);
            match byte {
                b'0'..=b'9' => signs.digits += 1,
                b'@' => signs.at = true,
                b':' => signs.double_colon |= before == b':',
                b'.' => {
                    let after = bytes.get(index + 1).copied().unwrap_or(b' ');
                    signs.inner_dot |= before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric();
                }
                _ => {}
            }
            before = byte;
        }
        signs
    }
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

/// Keeps the surest, then the longest, of entities that overlap; sorted by position.
fn best_without_overlap(mut found: Vec<PiiEntity>) -> Vec<PiiEntity> {
    let length = |entity: &PiiEntity| entity.end - entity.start;
    found.sort_by(|a, b| {
        b.confidence.total_cmp(&a.confidence).then(length(b).cmp(&length(a))).then(a.start.cmp(&b.start))
    });
    let mut kept: BTreeMap<usize, PiiEntity> = BTreeMap::new();
    for entity in found {
        let before = kept.range(..entity.end).next_back();
        if before.is_none_or(|(_, before)| before.end <= entity.start) {
            kept.insert(entity.start, entity);
        }
    }
    kept.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_wins_where_entities_overlap() {
        let kind = PiiType::Age;
        let found = vec![
            entity(kind, 0, 10, 0.5),
            entity(kind, 8, 12, 0.9),
            entity(kind, 12, 14, 0.1),
            entity(kind, 9, 11, 0.9),
        ];
        let kept: Vec<(usize, usize)> =
            best_without_overlap(found).iter().map(|e| (e.start, e.end)).collect();
        assert_eq!(kept, [(8, 12), (12, 14)]);
    }

    #[test]
    fn plain_prose_has_no_signs() {
        let signs = Signs::of(b"Write a haiku about tea. And one about rain: quietly.");
        assert!(signs.digits == 0 && !signs.at && !signs.inner_dot && !signs.double_colon);
        assert_eq!(signs.longest_run, 8);
    }
}
