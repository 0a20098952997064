//! The worst window of a text: sliding sums over blocks of words at three scales.
//!
//! Invariant: constant memory, each feature added once, and no part of the text outside every window.

use crate::features::Sink;
use crate::linear::{LinearModel, Sums};

/// Words in one block.
pub const BLOCK_WORDS: u32 = 16;

/// Blocks in a window, for each scale; the last is the capacity of the ring.
pub const SCALES: [usize; 3] = [2, 8, 64];

/// A block ends after so many features even inside a word, so that a text without spaces is cut up too.
pub const BLOCK_FEATURES: u32 = 512;

/// What a window of each scale must score beyond a whole text: a long text has many short windows, and the highest of many
/// scores is high by chance.
const MARGINS: [f32; SCALES.len()] = [1.0, 0.7, 0.3];

const RING: usize = SCALES[2];

/// Scores windows as features come.
pub(super) struct Scorer<'a, 'm> {
    model: &'a LinearModel<'m, 1>,
    block: Sums<1>,
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
        Self { model, block: Sums::default(), words: 0, ring, blocks: 0, sums, worst }
    }

    /// The highest logit of any window, less the margin of its scale; that of no features for an empty text.
    pub(super) fn worst_logit(mut self) -> f32 {
        if self.block.count > 0 {
            self.close_block();
        }
        let mut worst = f32::NEG_INFINITY;
        for (index, scale) in SCALES.into_iter().enumerate() {
            // A window that never filled, or just did, is the text as a whole.
            let logit = if self.blocks > scale {
                self.worst[index] - MARGINS[index]
            } else {
                self.model.logits(&self.sums[index])[0]
            };
            worst = worst.max(logit);
        }
        worst
    }

    fn close_block(&mut self) {
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
                *worst = worst.max(self.model.logits(sums)[0]);
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
