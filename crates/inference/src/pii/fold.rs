//! The same text in plain characters, for recognisers of forms: wide and foreign digits, odd spaces and dashes, nothing invisible.
//!
//! It is not [`crate::normalise`]: case stays, since keys and names of hosts depend on it, and every place leads back to the
//! original text. Invariant: a place on a character boundary leads to one.

use crate::leave::{Leave, pieces};

/// A text that reads differently in plain characters.
#[derive(Debug)]
pub(super) struct Folded {
    /// The plain text.
    pub(super) text: String,
    runs: Vec<Run>,
}

/// Bytes of the plain text that come from the original one at the same pace.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    /// Where it begins in the plain text.
    folded: usize,
    /// Where it begins in the original.
    original: usize,
    /// Bytes of the original for each byte of the plain text.
    width: usize,
}

/// What a character becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Itself,
    Ascii(u8),
    Nothing,
}

/// The zeros of decimal digits in other scripts (Unicode category Nd): Arabic, Indic, South-East Asian, Mongolian.
const ZEROS: [u32; 18] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x17E0, 0x1810,
];

impl Folded {
    /// The plain form of `text`; `None` where it is plain already.
    ///
    /// # Errors
    /// That of `leave`.
    pub(super) fn of<E>(text: &str, leave: &mut Leave<'_, E>) -> Result<Option<Folded>, E> {
        let mut folded: Option<Folded> = None;
        let mut start = 0;
        for piece in pieces(text) {
            leave(piece.len())?;
            for (offset, character) in piece.char_indices() {
                let plain = if character.is_ascii() { Plain::Itself } else { plain(character) };
                let (at, width) = (start + offset, character.len_utf8());
                match (&mut folded, plain) {
                    (None, Plain::Itself) => {}
                    (None, _) => {
                        let mut begun = Folded { text: String::with_capacity(text.len()), runs: Vec::new() };
                        begun.text.push_str(&text[..at]);
                        begun.runs.push(Run { folded: 0, original: 0, width: 1 });
                        begun.take(plain, character, at, width);
                        folded = Some(begun);
                    }
                    (Some(folded), _) => folded.take(plain, character, at, width),
                }
            }
            start += piece.len();
        }
        Ok(folded)
    }

    fn take(&mut self, plain: Plain, character: char, at: usize, width: usize) {
        match plain {
            Plain::Nothing => {}
            Plain::Itself => {
                self.run(at, 1);
                self.text.push(character);
            }
            Plain::Ascii(byte) => {
                self.run(at, width);
                self.text.push(char::from(byte));
            }
        }
    }

    /// Begins a run, unless what comes now goes on with the last one.
    fn run(&mut self, original: usize, width: usize) {
        let folded = self.text.len();
        let goes_on = self.runs.last().is_some_and(|run| {
            run.width == width && run.original + (folded - run.folded) * run.width == original
        });
        if !goes_on {
            self.runs.push(Run { folded, original, width });
        }
    }

    /// Where a place, not an empty one, stands in the original text.
    pub(super) fn original(&self, start: usize, end: usize) -> (usize, usize) {
        let last = self.at(end.saturating_sub(1));
        (self.at(start).0, last.0 + last.1)
    }

    /// Where a byte comes from, and how many bytes it stands for.
    fn at(&self, folded: usize) -> (usize, usize) {
        let after = self.runs.partition_point(|run| run.folded <= folded);
        let run = after.checked_sub(1).and_then(|index| self.runs.get(index));
        run.map_or((folded, 1), |run| (run.original + (folded - run.folded) * run.width, run.width))
    }
}

fn plain(character: char) -> Plain {
    let code = u32::from(character);
    match code {
        // Spaces of other widths, and those that do not break.
        0xA0 | 0x1680 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Plain::Ascii(b' '),
        0x2010..=0x2015 | 0x2212 | 0xFE58 | 0xFE63 => Plain::Ascii(b'-'),
        0x2024 | 0xFE52 => Plain::Ascii(b'.'),
        0xFE6B => Plain::Ascii(b'@'),
        // Full-width ASCII.
        0xFF01..=0xFF5E => ascii(code - 0xFEE0),
        // Mathematical alphabets: 26 capitals, then 26 small letters, per style; then digits by tens.
        0x1D400..=0x1D6A3 => match (code - 0x1D400) % 52 {
            letter @ 0..26 => ascii(u32::from(b'A') + letter),
            letter => ascii(u32::from(b'a') + letter - 26),
        },
        0x1D7CE..=0x1D7FF => ascii(u32::from(b'0') + (code - 0x1D7CE) % 10),
        // Invisible: soft hyphen, joiners, direction marks, variation selectors, tags; and marks that combine, of keycaps too.
        0xAD | 0x034F | 0x061C | 0x180B..=0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F => {
            Plain::Nothing
        }
        0xFE00..=0xFE0F | 0xFEFF | 0xE0000..=0xE007F | 0xE0100..=0xE01EF => Plain::Nothing,
        0x0300..=0x036F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF => Plain::Nothing,
        0x0660..0x1820 => {
            let digit = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10));
            digit.map_or(Plain::Itself, |digit| ascii(u32::from(b'0') + digit))
        }
        _ => Plain::Itself,
    }
}

fn ascii(code: u32) -> Plain {
    u8::try_from(code).map_or(Plain::Itself, Plain::Ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leave::always;
    use proptest::prelude::*;

    fn folded(text: &str) -> Option<Folded> {
        let Ok(folded) = Folded::of(text, &mut always);
        folded
    }

    #[test]
    fn plain_text_is_left_alone() {
        for text in ["", "plain", "größe, 北京, naïve, “quoted”, 5 €"] {
            assert!(folded(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_hides_forms_is_folded_and_leads_back() {
        let table = [
            ("a\u{a0}b", "a b"),
            ("４１１１－１１１１", "4111-1111"),
            ("1\u{200b}2\u{ad}3", "123"),
            ("4️⃣1️⃣", "41"),
            ("٠١٢ ۳۴ ५", "012 34 5"),
            ("𝟒𝟏 𝐀𝐛", "41 Ab"),
            ("é ４ é", "é 4 é"),
        ];
        for (text, plain) in table {
            let folded = folded(text).expect(text);
            assert_eq!(folded.text, plain);
            let (start, end) = folded.original(0, plain.len());
            assert_eq!(start, 0);
            assert!(text.is_char_boundary(end), "{text}");
        }
        let text = "x\u{200b}１２\u{a0}y";
        let folded = folded(text).unwrap();
        let (start, end) = folded.original(1, 3);
        assert_eq!(&text[start..end], "１２");
    }

    proptest! {
        #[test]
        fn each_character_leads_to_its_own(text in "[a-z0-9é４５\u{a0}\u{200b}\u{2010}𝟒北]{0,40}") {
            let Some(folded) = folded(&text) else { return Ok(()) };
            let kept = text.char_indices().filter(|(_, c)| plain(*c) != Plain::Nothing);
            for ((at, original), (place, character)) in kept.zip(folded.text.char_indices()) {
                let range = folded.original(place, place + character.len_utf8());
                prop_assert_eq!(range, (at, at + original.len_utf8()));
            }
        }
    }
}
