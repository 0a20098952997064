//! Signals: named measurements of a request, which own their thresholds.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexSet};

/// Which text of a request a signal reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The last message of the user.
    LastUserMessage,
    /// Every message of the user and every tool result.
    UserAndToolText,
    /// Tool results only.
    ToolResults,
    /// Every message, whoever wrote it.
    Conversation,
}

/// A named measurement.
#[derive(Debug)]
pub struct Signal {
    /// The name by which decisions refer to it.
    pub name: Arc<str>,
    /// What it reads.
    pub subject: Subject,
    /// What it measures.
    pub measure: Measure,
}

/// What a signal measures.
#[derive(Debug)]
pub enum Measure {
    /// Words or patterns.
    Keywords(Keywords),
    /// The most probable category is one of these, and probable enough.
    Domain {
        /// The categories, groups resolved.
        categories: Vec<Arc<str>>,
        /// Probability that the best one needs, 0 to 1.
        min_confidence: f32,
        /// Whether it also holds when no category is that probable.
        takes_low_confidence: bool,
    },
    /// Personal data of these types (all if empty).
    Pii {
        /// Types.
        types: Vec<&'static str>,
        /// Confidence from which an entity counts, 0 to 1.
        threshold: f32,
    },
    /// An attempt to override instructions.
    Jailbreak {
        /// Probability from which it counts, 0 to 1.
        threshold: f32,
    },
    /// Estimated tokens: one per four bytes of text, rounded up.
    Length {
        /// At least so many.
        min_tokens: Option<u64>,
        /// At most so many.
        max_tokens: Option<u64>,
    },
    /// The kind of request.
    Shape(ShapeTest),
    /// A header.
    Header(HeaderTest),
    /// The principal's name or user id.
    Principal(Vec<Arc<str>>),
}

/// Words or patterns: `all` must all be found; of `any` and `regex` together, one.
#[derive(Debug)]
pub struct Keywords {
    any: Option<AhoCorasick>,
    all: Option<(AhoCorasick, usize)>,
    patterns: RegexSet,
    whole_words: bool,
}

impl Keywords {
    /// Prepares the search.
    ///
    /// # Errors
    ///
    /// A sentence, when the words or patterns cannot be compiled (malformed, or too large).
    pub fn new(
        any: &[String],
        all: &[String],
        regex: &[String],
        case: Case,
        boundaries: Boundaries,
    ) -> Result<Keywords, String> {
        let search = |words: &[String]| {
            let mut builder = AhoCorasick::builder();
            builder.ascii_case_insensitive(case == Case::Ignore);
            builder.build(words).map_err(|error| error.to_string())
        };
        let patterns = regex::RegexSetBuilder::new(regex).case_insensitive(case == Case::Ignore).build();
        Ok(Keywords {
            any: (!any.is_empty()).then(|| search(any)).transpose()?,
            all: (!all.is_empty()).then(|| search(all).map(|search| (search, all.len()))).transpose()?,
            patterns: patterns.map_err(|error| error.to_string())?,
            whole_words: boundaries == Boundaries::WholeWords,
        })
    }

    /// Whether a text has them.
    pub fn found_in(&self, text: &str) -> bool {
        let one_wanted = self.any.is_some() || !self.patterns.is_empty();
        let one = self.any.as_ref().is_some_and(|search| self.matches(search, text).next().is_some())
            || self.patterns.is_match(text);
        let all = self.all.as_ref().is_none_or(|(search, count)| {
            let mut seen = vec![false; *count];
            self.matches(search, text).for_each(|index| seen[index] = true);
            seen.iter().all(|seen| *seen)
        });
        all && (one || !one_wanted)
    }

    /// Indices of the words found, overlapping ones too.
    fn matches<'a>(&'a self, search: &'a AhoCorasick, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        let stands_alone = move |start: usize, end: usize| {
            let before = text[..start].chars().next_back();
            let after = text[end..].chars().next();
            !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
        };
        let found = search.find_overlapping_iter(text);
        found
            .filter(move |found| !self.whole_words || stands_alone(found.start(), found.end()))
            .map(|found| found.pattern().as_usize())
    }
}

/// Whether upper and lower case differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// They differ.
    Matters,
    /// They do not.
    Ignore,
}

/// Whether a keyword must stand as a word of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundaries {
    /// It must.
    WholeWords,
    /// It may be part of a word.
    Anywhere,
}

/// The kind of request; everything that is set must hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShapeTest {
    /// It offers tools, or does not.
    pub tools: Option<bool>,
    /// It has images, or has not.
    pub images: Option<bool>,
    /// It asks for a response format, or does not.
    pub response_format: Option<bool>,
    /// It asks for a stream, or does not.
    pub stream: Option<bool>,
    /// At least so many messages of the user.
    pub min_turns: Option<usize>,
    /// At most so many messages of the user.
    pub max_turns: Option<usize>,
}

/// A header: without values and pattern, that it is there.
#[derive(Debug)]
pub struct HeaderTest {
    /// Lower-case name.
    pub name: Arc<str>,
    /// Values, to the letter.
    pub any: Vec<Arc<str>>,
    /// A pattern.
    pub pattern: Option<Regex>,
}

impl HeaderTest {
    /// Whether a value of the header passes.
    pub fn passes(&self, value: &str) -> bool {
        let free = self.any.is_empty() && self.pattern.is_none();
        free || self.any.iter().any(|wanted| &**wanted == value)
            || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keywords(any: &[&str], all: &[&str], regex: &[&str], boundaries: Boundaries) -> Keywords {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Keywords::new(&owned(any), &owned(all), &owned(regex), Case::Ignore, boundaries).unwrap()
    }

    #[test]
    fn any_all_and_patterns_combine() {
        let words = keywords(&["invoice", "refund"], &[], &[r"order #\d+"], Boundaries::WholeWords);
        assert!(words.found_in("Where is my REFUND?"));
        assert!(words.found_in("about order #17"));
        assert!(!words.found_in("refundable?"));
        let all = keywords(&[], &["tax", "germany"], &[], Boundaries::WholeWords);
        assert!(all.found_in("Tax law in Germany"));
        assert!(!all.found_in("tax law"));
        assert!(keywords(&["fund"], &[], &[], Boundaries::Anywhere).found_in("refundable"));
    }
}
