//! Tokens of the simulator: pieces of text that stand for a model's tokens. A piece is the white space before a
//! word and up to eight characters of the word. Not a real tokeniser: counts only have the right order of size.
//!
//! Invariant: joining the pieces gives the text back.

const PIECE_CHARS: usize = 8;

/// Splits a text into pieces.
pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// Number of pieces of a text.
pub(crate) fn count(text: &str) -> u32 {
    u32::try_from(pieces(text).count()).unwrap_or(u32::MAX)
}

/// The pieces of a text, repeated or cut to exactly `length`. An empty text gives none.
pub(crate) fn fitted(text: &str, length: u32) -> Vec<String> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let once: Vec<&str> = pieces(text).collect();
    let joined = once.iter().enumerate().cycle().take(if once.is_empty() { 0 } else { length });
    joined
        .enumerate()
        .map(|(position, (index, piece))| {
            let starts_again = index == 0 && position > 0;
            if starts_again { format!(" {piece}") } else { (*piece).to_owned() }
        })
        .collect()
}

/// Iterator over the pieces of a text.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest;
        if rest.is_empty() {
            return None;
        }
        let mut word_chars = 0;
        let end = rest.char_indices().find_map(|(index, character)| {
            let ends = word_chars == PIECE_CHARS || (word_chars > 0 && character.is_whitespace());
            word_chars += usize::from(!character.is_whitespace());
            ends.then_some(index)
        });
        let (piece, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_long_words() {
        let found: Vec<_> = pieces("The  cat abcdefghijk\n").collect();
        assert_eq!(found, ["The", "  cat", " abcdefgh", "ijk", "\n"]);
        assert_eq!(fitted("a b", 5).concat(), "a b a b a");
        assert_eq!(fitted("", 5), [""; 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_join_to_the_text(text in "\\PC{0,60}") {
            prop_assert_eq!(pieces(&text).collect::<String>(), text);
        }
    }
}
