//! The worst window of a text: sliding sums over blocks of words at three scales.
//!
//! Invariant: constant memory, each feature added once, and no part of the text outside every window. What is said again and again, inside a
//! block or by whole blocks, counts once.

use crate::features::Sink;
use crate::linear::{LinearModel, Sums, root_norm};

/// Words in one block.
pub const BLOCK_WORDS: u32 = 16;

/// Blocks in a window, for each scale; the last is the capacity of the ring.
pub const SCALES: [usize; 3] = [2, 8, 24];

/// A block ends after so many features even inside a word, so that a text without spaces is cut up too.
pub const BLOCK_FEATURES: u32 = 512;

/// From so many features on (about fifty words) a window's score is the mean of its parts' and no longer grows with its length.
const SATURATION: u32 = 400;

/// What a window of each scale must score beyond a whole text: a constant, and what is added as often as the text is e times longer
/// than the window. The highest of many scores is high by chance, and where high scores thin out as an exponential
/// distribution does, the highest of n grows with the logarithm of n.
const MARGINS: [(f32, f32); SCALES.len()] = [(0.8, 0.05), (0.6, 0.25), (0.3, 0.2)];

const RING: usize = SCALES[2];

/// What a window's sum over `features` features is multiplied by.
///
/// Up to `SATURATION` it is one over their root, as if features were independent. They are not: in a long text of a kind that training did
/// not have (another language, a table, markup) they lean to one side together, and over the root the sum of many would grow without bound.
/// Past it the norm falls with the number itself, which makes the score a mean.
#[inline]
#[must_use]
pub fn norm(features: u32) -> f32 {
    if features <= SATURATION { root_norm(features) } else { (SATURATION as f32).sqrt() / features as f32 }
}

/// A block that says each of its features more often than this is a repetition.
const REPETITIVE: f32 = 3.0;

/// Which features a block has, as a set of 64 hashed places: enough to tell a few from many.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen(u64);

impl Seen {
    /// Adds a feature.
    #[inline]
    pub fn add(&mut self, hash: u32) {
        self.0 |= 1 << (hash & 63);
    }

    /// How many distinct features there are about, where the block's `features` are the same few again and again; each shall count once
    /// then. The estimate is that of linear counting (Whang et al., ACM Transactions on Database Systems 15, 1990).
    #[must_use]
    pub fn repeated(self, features: u32) -> Option<u32> {
        // So full a set has too many features to be a repetition, whatever the length of the block.
        const FULL: u32 = 48;
        if self.0.count_ones() > FULL {
            return None;
        }
        let distinct = -64.0 * (self.0.count_zeros() as f32 / 64.0).ln();
        (features as f32 > REPETITIVE * distinct).then(|| (distinct.round() as u32).max(1))
    }
}

/// Scores windows as features come.
pub(super) struct Scorer<'a, 'm> {
    model: &'a LinearModel<'m, 1>,
    block: Sums<1>,
    seen: Seen,
    words: u32,
    ring: [Sums<1>; RING],
    blocks: usize,
    sums: [Sums<1>; SCALES.len()],
    worst: [f32; SCALES.len()],
}

impl<'a, 'm> Scorer<'a, 'm> {
    pub(super) fn new(model: &'a LinearModel<'m, 1>) -> Self {
        let (ring, sums) = ([Sums::default(); RING], [Sums::default(); SCALES.len()]);
        let worst = [f32::NEG_INFINITY; SCALES.len()];
        Self { model, block: Sums::default(), seen: Seen::default(), words: 0, ring, blocks: 0, sums, worst }
    }

    /// The highest logit of any window, less the margin of its scale and of the text's length; that of no features for an empty text.
    pub(super) fn worst_logit(mut self) -> f32 {
        if self.block.count > 0 {
            self.close_block();
        }
        let mut worst = f32::NEG_INFINITY;
        for (index, scale) in SCALES.into_iter().enumerate() {
            // A window that never filled, or just did, is the text as a whole.
            let logit = if self.blocks > scale {
                let (constant, growth) = MARGINS[index];
                self.worst[index] - constant - growth * (self.blocks as f32 / scale as f32).ln()
            } else {
                self.model.logits_by(norm, &self.sums[index])[0]
            };
            worst = worst.max(logit);
        }
        worst
    }

    fn close_block(&mut self) {
        if let Some(distinct) = self.seen.repeated(self.block.count) {
            let share = f64::from(distinct) / f64::from(self.block.count);
            self.block.lanes[0] = (f64::from(self.block.lanes[0]) * share).round() as i32;
            self.block.count = distinct;
        }
        self.seen = Seen::default();
        // A block that repeats the one before says nothing new: counted again and again, the small weight of one word would make
        // an attack of a log or a list.
        if self.blocks > 0 && self.block == self.ring[(self.blocks - 1) % RING] {
            self.block = Sums::default();
            self.words = 0;
            return;
        }
        for ((scale, sums), worst) in SCALES.into_iter().zip(&mut self.sums).zip(&mut self.worst) {
            if self.blocks >= scale {
                let leaving = &self.ring[(self.blocks - scale) % RING];
                sums.lanes[0] -= leaving.lanes[0];
                sums.count -= leaving.count;
            }
            *sums += &self.block;
            if self.blocks + 1 >= scale {
                *worst = worst.max(self.model.logits_by(norm, sums)[0]);
            }
        }
        self.ring[self.blocks % RING] = self.block;
        self.blocks += 1;
        self.block = Sums::default();
        self.words = 0;
    }
}

impl Sink for Scorer<'_, '_> {
    #[inline]
    fn feature(&mut self, hash: u32) {
        self.model.add(hash, &mut self.block);
        self.seen.add(hash);
        if self.block.count >= BLOCK_FEATURES {
            self.close_block();
        }
    }

    #[inline]
    fn word_end(&mut self) {
        self.words += 1;
        if self.words >= BLOCK_WORDS {
            self.close_block();
        }
    }
}
