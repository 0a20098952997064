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
const BLOCK_FEATURES: u32 = 512;

const RING: usize = SCALES[2];

/// Scores windows as features come.
pub(super) struct Scorer<'a, 'm> {
    model: &'a LinearModel<'m, 1>,
    block: Sums<1>,
    words: u32,
    ring: [Sums<1>; RING],
    blocks: usize,
    sums: [Sums<1>; SCALES.len()],
    worst: f32,
}

impl<'a, 'm> Scorer<'a, 'm> {
    pub(super) fn new(model: &'a LinearModel<'m, 1>) -> Self {
        let (ring, sums) = ([Sums::default(); RING], [Sums::default(); SCALES.len()]);
        Self { model, block: Sums::default(), words: 0, ring, blocks: 0, sums, worst: f32::NEG_INFINITY }
    }

    /// The highest logit of any window; that of no features for an empty text.
    pub(super) fn worst_logit(mut self) -> f32 {
        if self.block.count > 0 {
            self.close_block();
        }
        // A window that never filled is the text as a whole.
        for (scale, sums) in SCALES.into_iter().zip(self.sums) {
            if self.blocks < scale {
                self.worst = self.worst.max(self.model.logits(&sums)[0]);
            }
        }
        self.worst
    }

    fn close_block(&mut self) {
        for (scale, sums) in SCALES.into_iter().zip(&mut self.sums) {
            if self.blocks >= scale {
                let leaving = &self.ring[(self.blocks - scale) % RING];
                sums.lanes[0] -= leaving.lanes[0];
                sums.count -= leaving.count;
            }
            *sums += &self.block;
            if self.blocks + 1 >= scale {
                self.worst = self.worst.max(self.model.logits(sums)[0]);
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
