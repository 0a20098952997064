//! Prompts and answers, where the operator wants them in traces.
//!
//! [`Content`] is the only type in which they enter a record, and its only constructor hides what a recogniser of
//! personal data finds, credentials, and what exceeds a bound. It is not [`Text`]: that is for names and sentences, is
//! much shorter, and knows no recogniser.

use std::fmt;
use std::ops::Range;

use crate::Text;
use crate::text::{REDACTED, cut, redact_keeping_lines};

/// Bytes of all prompts of a record together, and of all answers.
pub const MAX_CONTENT_BYTES: usize = 32 * 1024;

/// What stands where a text was cut.
pub const CUT_MARK: &str = "… [cut]";

/// How far beyond a cut is looked for what must not be shown: what begins before the cut and ends behind it.
const MARGIN: usize = 1024;

/// What of prompts and answers is kept, or shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Prompts.
    pub inputs: bool,
    /// Answers.
    pub outputs: bool,
}

impl Capture {
    /// Nothing, the default.
    pub const NOTHING: Capture = Capture { inputs: false, outputs: false };

    /// What one or the other wants.
    #[must_use]
    pub fn or(self, other: Capture) -> Capture {
        Capture { inputs: self.inputs || other.inputs, outputs: self.outputs || other.outputs }
    }
}

/// A piece of a prompt or an answer without personal data or credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Box<str>);

impl Content {
    /// Takes in at most `limit` bytes of a text. `personal` finds personal data: byte ranges, in order; what is found is
    /// replaced by [`REDACTED`], and so are credentials. Where it cannot look (`None`), nothing of the text is kept.
    pub fn redacting(
        text: &str,
        limit: usize,
        personal: impl FnOnce(&str) -> Option<Vec<Range<usize>>>,
    ) -> Content {
        let window = cut(text, limit.saturating_add(MARGIN));
        let Some(ranges) = personal(window) else { return Content(Box::from(REDACTED)) };
        let mut clean = redact_keeping_lines(&hidden(window, &ranges));
        // The end of a window may hold half of something that was not recognised for it.
        let whole = if window.len() < text.len() { clean.len().saturating_sub(MARGIN) } else { clean.len() };
        if window.len() < text.len() || clean.len() > limit {
            let end = cut(&clean, whole.min(limit.saturating_sub(CUT_MARK.len()))).len();
            clean.truncate(end);
            clean.push_str(CUT_MARK);
        }
        Content(clean.into_boxed_str())
    }

    /// Stands for messages that were left out.
    pub fn left_out() -> Content {
        Content(Box::from(CUT_MARK))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Content {
    /// Its length only: what a program prints of itself is not where content belongs.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Content({} bytes)", self.0.len())
    }
}

fn hidden(text: &str, ranges: &[Range<usize>]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut position = 0;
    for range in ranges {
        let start = range.start.max(position);
        let (Some(before), true) = (text.get(position..start), text.is_char_boundary(range.end)) else {
            // A recogniser that names no characters is not to be trusted with the rest.
            clean.push_str(REDACTED);
            return clean;
        };
        if range.end <= start {
            continue;
        }
        clean.push_str(before);
        clean.push_str(REDACTED);
        position = range.end;
    }
    clean.push_str(text.get(position..).unwrap_or_default());
    clean
}

/// What a part of a message is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// What is said.
    Text,
    /// The model's thoughts.
    Reasoning,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its text.
    pub content: Content,
}

/// A message of a prompt, or a choice of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool` or `other`.
    pub role: &'static str,
    /// What is said in it. Calls of tools are not kept.
    pub parts: Vec<Part>,
    /// Why an answer ends.
    pub finish_reason: Option<Text>,
}

/// What a record holds of prompts and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The prompt's messages, oldest first.
    pub inputs: Vec<Message>,
    /// The answer's choices.
    pub outputs: Vec<Message>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(needle: &'static str) -> impl Fn(&str) -> Option<Vec<Range<usize>>> {
        move |text| Some(text.match_indices(needle).map(|(at, found)| at..at + found.len()).collect())
    }

    #[test]
    fn personal_data_and_credentials_are_replaced_and_lines_stay() {
        let content =
            Content::redacting("write to a@b.de\nwith sk-abcdefgh12345678\u{0}.", 1000, find("a@b.de"));
        assert_eq!(content.as_str(), format!("write to {REDACTED}\nwith {REDACTED} ."));
        assert_eq!(Content::redacting("a text", 1000, |_| None).as_str(), REDACTED);
        assert_eq!(format!("{content:?}"), "Content(41 bytes)");
    }

    #[test]
    fn a_cut_is_marked_and_leaves_no_half_of_what_is_hidden() {
        let email = "a@b.de";
        for before in 90..130 {
            let text = format!("{}{email}{}", "x".repeat(before), "y".repeat(5000));
            let content = Content::redacting(&text, 120, find(email));
            assert!(content.as_str().len() <= 120 && content.as_str().ends_with(CUT_MARK));
            assert!(!content.as_str().contains('@') && !content.as_str().contains("xa"), "{content:?}");
        }
        let many = email.repeat(2000);
        let content = Content::redacting(&many, 5000, find(email));
        assert!(!content.as_str().contains('@') && content.as_str().len() <= 5000);
    }

    #[test]
    fn ranges_that_do_not_fit_hide_the_rest() {
        let within_a_character = std::iter::once(0..3).collect();
        assert_eq!(Content::redacting("größe", 100, |_| Some(within_a_character)).as_str(), REDACTED);
        let overlapping = Content::redacting("0123456789", 100, |_| Some(vec![2..5, 3..4, 4..7]));
        assert_eq!(overlapping.as_str(), format!("01{REDACTED}{REDACTED}789"));
    }
}
