//! Byte positions to character positions, which is what clients count in.

use super::PiiEntity;

/// Start and end of each entity in characters (Unicode scalar values), in one pass over `text`.
///
/// `entities` must be sorted as [`super::PiiRecognizers::find`] returns them; an entity out of order or out of the text
/// gets the position that was reached.
#[must_use]
pub fn character_positions(text: &str, entities: &[PiiEntity]) -> Vec<(usize, usize)> {
    let (mut byte, mut characters) = (0, 0);
    let mut advance = |to: usize| {
        if let Some(passed) = text.get(byte..to) {
            characters += passed.chars().count();
            byte = to;
        }
        characters
    };
    entities.iter().map(|entity| (advance(entity.start), advance(entity.end))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::PiiType;

    #[test]
    fn counts_characters() {
        let text = "Grüße an a@b.de und ö@b.de";
        let entity = |start, end| PiiEntity { kind: PiiType::EmailAddress, start, end, confidence: 1.0 };
        let positions = character_positions(text, &[entity(11, 17), entity(22, 29)]);
        assert_eq!(positions, [(9, 15), (20, 26)]);
        let found: String = text.chars().skip(9).take(6).collect();
        assert_eq!(found, "a@b.de");
    }
}
