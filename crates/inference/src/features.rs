//! A text as a stream of hashed n-grams: the one definition that training and inference share.
//!
//! Features are sequences of one to three words, and character n-grams of 3 and 4 characters inside a word with its
//! boundaries. Digits are folded to `0`, so that a number is its shape; each symbol is a word of its own.
//! It is not a tokeniser for language models, and it keeps nothing: features go to a [`Sink`] as they are found.
//! Invariant: no allocation, at most [`MAX_PER_CHARACTER`] features per character, each character looked at once.
//! A change of any hash here makes the stored models meaningless: raise [`SCHEME`] and train again.

use crate::leave::{Leave, pieces};
use crate::normalise::{Folded, fold};

/// Version of the feature scheme; a model file names the one that it was trained with.
pub const SCHEME: u8 = 1;

/// The most features that one character of text can cause.
pub const MAX_PER_CHARACTER: usize = 8;

/// Takes the features of a text in order.
pub trait Sink {
    /// One feature, as a well-mixed 32-bit hash: a table of `2^b` rows is indexed by its upper `b` bits.
    fn feature(&mut self, hash: u32);

    /// A word or symbol has ended; its features came before.
    fn word_end(&mut self) {}
}

/// Sends every feature of `text` to `sink`.
pub fn visit(text: &str, sink: &mut impl Sink) {
    let mut words = Words::new();
    words.read(text, sink);
    words.close(sink);
}

/// As [`visit`], asking for leave before each piece.
///
/// # Errors
/// That of `leave`; features of the pieces before have then been sent.
pub fn visit_with_leave<E>(text: &str, sink: &mut impl Sink, leave: &mut Leave<'_, E>) -> Result<(), E> {
    let mut words = Words::new();
    for piece in pieces(text) {
        leave(piece.len())?;
        words.read(piece, sink);
    }
    words.close(sink);
    Ok(())
}

/// Multipliers of the mixing steps: odd constants with good avalanche (splitmix64 and the golden ratio).
const MIX: u64 = 0xBF58_476D_1CE4_E5B9;
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Kinds of feature, so that the word `the` and the n-gram `the` have rows of their own.
const WORD: u64 = 1 << 32;
const PAIR: u64 = 2 << 32;
const TRIPLE: u64 = 3 << 32;
const GRAM_3: u64 = 4 << 32;
const GRAM_4: u64 = 5 << 32;

/// Marks where a word begins and ends inside its n-grams; no folded character is a control character.
const BEGIN: u32 = 2;
const END: u32 = 3;

#[inline]
fn step(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(MIX)
}

#[inline]
fn finish(hash: u64) -> u32 {
    ((hash ^ (hash >> 29)).wrapping_mul(GOLDEN) >> 32) as u32
}

struct Words {
    /// Hash of the word so far.
    word: u64,
    /// Hashes of the two words before, the nearer one last; 0 before the start of the text.
    previous: [u64; 2],
    /// The last characters of the word, the newest last; zero where there is none.
    recent: [u32; 4],
    /// Characters of the word so far, its begin mark included; 0 outside a word.
    length: usize,
    /// The symbol just before, so that `-----` counts once.
    repeated: Option<char>,
}

impl Words {
    const fn new() -> Self {
        Self { word: 0, previous: [0; 2], recent: [0; 4], length: 0, repeated: None }
    }

    fn read(&mut self, text: &str, sink: &mut impl Sink) {
        for character in text.chars() {
            match fold(character) {
                Folded::Nothing => {}
                Folded::Space => self.space(sink),
                Folded::Visible(visible) if visible.is_alphanumeric() => self.letter(visible, sink),
                Folded::Visible(visible) => self.symbol(visible, sink),
            }
        }
    }

    #[inline]
    fn letter(&mut self, character: char, sink: &mut impl Sink) {
        // Ideographs are words by themselves: those languages do not write spaces.
        if is_ideograph(character) {
            self.close(sink);
            self.open();
            self.push(u32::from(character), sink);
            self.close(sink);
            return;
        }
        let shape = if character.is_numeric() { '0' } else { character };
        if self.length == 0 {
            self.open();
        }
        self.push(u32::from(shape), sink);
    }

    fn symbol(&mut self, character: char, sink: &mut impl Sink) {
        self.close(sink);
        if self.repeated == Some(character) {
            return;
        }
        self.end_word(step(GOLDEN, u64::from(u32::from(character))), sink);
        self.repeated = Some(character);
    }

    fn open(&mut self) {
        self.word = GOLDEN;
        self.recent = [0, 0, 0, BEGIN];
        self.length = 1;
        self.repeated = None;
    }

    fn space(&mut self, sink: &mut impl Sink) {
        self.close(sink);
        self.repeated = None;
    }

    fn close(&mut self, sink: &mut impl Sink) {
        if self.length == 0 {
            return;
        }
        let word = self.word;
        self.push(END, sink);
        self.length = 0;
        self.end_word(word, sink);
    }

    #[inline]
    fn push(&mut self, code: u32, sink: &mut impl Sink) {
        let [_, b, c, d] = self.recent;
        self.recent = [b, c, d, code];
        self.length += 1;
        self.word = step(self.word, u64::from(code));
        if self.length < 3 {
            return;
        }
        let three = step(step(u64::from(c) << 21 | u64::from(d), GRAM_3), u64::from(code));
        sink.feature(finish(three));
        if self.length >= 4 {
            sink.feature(finish(step(three, GRAM_4 | u64::from(b))));
        }
    }

    fn end_word(&mut self, word: u64, sink: &mut impl Sink) {
        let [second, first] = self.previous;
        let pair = step(first, word);
        sink.feature(finish(word ^ WORD));
        sink.feature(finish(pair ^ PAIR));
        sink.feature(finish(step(second, pair ^ TRIPLE)));
        self.previous = [first, word];
        sink.word_end();
    }
}

/// Han characters, kana and Hangul syllables.
fn is_ideograph(character: char) -> bool {
    matches!(u32::from(character), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0x20000..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Collected {
        hashes: Vec<u32>,
        words: usize,
    }

    impl Sink for Collected {
        fn feature(&mut self, hash: u32) {
            self.hashes.push(hash);
        }

        fn word_end(&mut self) {
            self.words += 1;
        }
    }

    fn collect(text: &str) -> Collected {
        let mut collected = Collected::default();
        visit(text, &mut collected);
        collected
    }

    #[test]
    fn counts_words_symbols_and_runs() {
        assert_eq!(collect("").words, 0);
        assert_eq!(collect("two words").words, 2);
        assert_eq!(collect("x^3?").words, 4);
        assert_eq!(collect("------ a").words, 2);
        assert_eq!(collect("北京").words, 2);
    }

    #[test]
    fn writing_does_not_matter_and_words_do() {
        assert_eq!(collect("Ignore  THIS").hashes, collect("ignore\nthis").hashes);
        assert_eq!(collect("in 1969").hashes, collect("in 2024").hashes);
        assert_ne!(collect("in 1969").hashes, collect("in 19").hashes);
        assert_ne!(collect("a b").hashes, collect("b a").hashes);
    }

    #[test]
    fn hashes_are_spread() {
        let text: String = (0..5000u32).map(|i| format!("{} ", base26(i))).collect();
        let mut hashes = collect(&text).hashes;
        hashes.sort_unstable();
        hashes.dedup();
        let mut rows: Vec<u32> = hashes.iter().map(|hash| hash >> 16).collect();
        rows.sort_unstable();
        rows.dedup();
        // Throwing n balls into m bins fills m(1 - exp(-n/m)) of them.
        let expected = 65536.0 * (1.0 - (-(hashes.len() as f64) / 65536.0).exp());
        let ratio = rows.len() as f64 / expected;
        assert!((0.97..1.03).contains(&ratio), "{ratio}");
    }

    fn base26(mut number: u32) -> String {
        let mut word = String::new();
        for _ in 0..4 {
            word.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        word
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn work_is_linear(text in "\\PC{0,200}") {
            prop_assert!(collect(&text).hashes.len() <= MAX_PER_CHARACTER * text.chars().count().max(1));
        }
    }
}
