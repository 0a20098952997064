//! Groups of near-identical texts, so that no text is on both sides of a split.
//!
//! Two texts are near-identical when they share at least 60 % of the shorter one's five-word shingles, numbers
//! folded to their shape, so that one exercise with other figures is the same exercise. Shingles of more than
//! [`COMMON`] texts say nothing ("which of the following is") and are not counted, unless a text is made of them.

use std::collections::HashMap;

const SHINGLE_WORDS: usize = 5;
const COMMON: usize = 60;
const SHARED: f64 = 0.6;

/// A group number for each text; texts with the same number must stay together.
pub(crate) fn groups(texts: &[&str]) -> Vec<usize> {
    let shingles: Vec<Vec<u64>> = texts.iter().map(|text| shingles(text)).collect();
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (text, hashes) in shingles.iter().enumerate() {
        for hash in hashes {
            holders.entry(*hash).or_default().push(text);
        }
    }
    let mut sets = Sets::new(texts.len());
    let mut whole: HashMap<&[u64], usize> = HashMap::new();
    for (text, hashes) in shingles.iter().enumerate() {
        let first = *whole.entry(hashes).or_insert(text);
        sets.join(first, text);
    }
    for (text, hashes) in shingles.iter().enumerate() {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for others in
            hashes.iter().filter_map(|hash| holders.get(hash)).filter(|others| others.len() <= COMMON)
        {
            for other in others.iter().filter(|other| **other > text) {
                *shared.entry(*other).or_default() += 1;
            }
        }
        for (other, count) in shared {
            let shorter = hashes.len().min(shingles[other].len());
            if count as f64 >= SHARED * shorter as f64 {
                sets.join(text, other);
            }
        }
    }
    (0..texts.len()).map(|text| sets.find(text)).collect()
}

/// Sorted hashes of the distinct shingles; one of the whole text where it is shorter than a shingle.
fn shingles(text: &str) -> Vec<u64> {
    let normal: String = inference::normalise::normalise(text)
        .chars()
        .map(|c| {
            if c.is_numeric() {
                '0'
            } else if c.is_alphanumeric() {
                c
            } else {
                ' '
            }
        })
        .collect();
    let words: Vec<&str> = normal.split_whitespace().collect();
    let mut hashes: Vec<u64> = if words.len() < SHINGLE_WORDS {
        vec![hash(&words)]
    } else {
        words.windows(SHINGLE_WORDS).map(hash).collect()
    };
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// FNV-1a over the words with a separator.
fn hash(words: &[&str]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([b' ']));
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Disjoint sets with path halving.
struct Sets {
    parents: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    fn find(&mut self, mut member: usize) -> usize {
        while self.parents[member] != member {
            self.parents[member] = self.parents[self.parents[member]];
            member = self.parents[member];
        }
        member
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        // The smaller number wins, so that the result does not depend on the order of a hash map.
        self.parents[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_identical_texts_stay_together() {
        let texts = [
            "A train travels 120 miles in 3 hours. What is its average speed?",
            "A train travels 90 miles in 2 hours. What is its average speed?",
            "Which organ produces insulin in the human body?",
            "which organ produces  INSULIN in the human body",
            "Hi there",
            "hi  there!",
        ];
        let groups = groups(&texts);
        assert_ne!(groups[0], groups[1], "120 and 90 have different shapes");
        assert_eq!(groups[2], groups[3]);
        assert_eq!(groups[4], groups[5]);
        assert_ne!(groups[0], groups[2]);
    }
}
