//! Which of the fourteen MMLU-Pro domains a text is about.
//!
//! A linear model over hashed n-grams, calibrated by temperature, compiled in. It is not a router: what a domain means
//! for the choice of a model is somebody else's decision. Invariant: probabilities are finite, in 0 to 1, and sum to 1.
//!
//! Bounded work: of a text longer than [`WINDOW_BYTES`] twice over, only the first and the last [`WINDOW_BYTES`] are
//! read; what a prompt is about shows at its ends. (The jailbreak detector, a guard, reads everything.)

use crate::features::{Sink, visit};
use crate::linear::{LinearModel, Sums};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// Bytes read at each end of a long text.
pub const WINDOW_BYTES: usize = 4096;

/// The model's table has two to this power rows. A row counts once per text however often its n-grams occur.
pub const TABLE_BITS: u32 = 18;

/// Lanes of a model row: fourteen classes, padded.
const LANES: usize = 16;

static MODEL: &[u8] = include_bytes!("../models/domain.bin");

/// The categories of MMLU-Pro.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// Commerce, accounting, marketing, management.
    Business,
    /// Statutes, cases, contracts, rights.
    Law,
    /// Mind and behaviour.
    Psychology,
    /// Living things.
    Biology,
    /// Substances and reactions.
    Chemistry,
    /// The past.
    History,
    /// None of the others: chat, errands, writing, trivia.
    Other,
    /// Medicine, nutrition, well-being.
    Health,
    /// Markets, money, policy.
    Economics,
    /// Mathematics and arithmetic.
    Math,
    /// Matter, energy, astronomy.
    Physics,
    /// Programs, algorithms, machines that compute.
    ComputerScience,
    /// Ethics, logic, religion, thought.
    Philosophy,
    /// Circuits, structures, processes, materials.
    Engineering,
}

impl Domain {
    /// All domains, in the order of the models' classes.
    pub const ALL: [Self; 14] = [
        Self::Business,
        Self::Law,
        Self::Psychology,
        Self::Biology,
        Self::Chemistry,
        Self::History,
        Self::Other,
        Self::Health,
        Self::Economics,
        Self::Math,
        Self::Physics,
        Self::ComputerScience,
        Self::Philosophy,
        Self::Engineering,
    ];

    /// The name as configuration, API and data sets write it: lower case, `computer science` with a space.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Law => "law",
            Self::Psychology => "psychology",
            Self::Biology => "biology",
            Self::Chemistry => "chemistry",
            Self::History => "history",
            Self::Other => "other",
            Self::Health => "health",
            Self::Economics => "economics",
            Self::Math => "math",
            Self::Physics => "physics",
            Self::ComputerScience => "computer science",
            Self::Philosophy => "philosophy",
            Self::Engineering => "engineering",
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The text names none of [`Domain::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownDomain;

impl fmt::Display for UnknownDomain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("unknown domain; one of")?;
        for (index, domain) in Domain::ALL.iter().enumerate() {
            write!(formatter, "{} {domain}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownDomain {}

impl FromStr for Domain {
    type Err = UnknownDomain;

    fn from_str(name: &str) -> Result<Self, UnknownDomain> {
        Self::ALL.into_iter().find(|domain| domain.as_str() == name).ok_or(UnknownDomain)
    }
}

/// A calibrated probability for each domain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DomainScores {
    probabilities: [f32; Domain::ALL.len()],
}

impl DomainScores {
    /// The most probable domain and its probability.
    #[must_use]
    pub fn best(&self) -> (Domain, f32) {
        self.ranked().0
    }

    /// The second most probable domain and its probability.
    #[must_use]
    pub fn second(&self) -> (Domain, f32) {
        self.ranked().1
    }

    /// The probability of one domain.
    #[must_use]
    pub fn get(&self, domain: Domain) -> f32 {
        self.probabilities[domain as usize]
    }

    /// Every domain with its probability, in the order of [`Domain::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Domain, f32)> + '_ {
        Domain::ALL.into_iter().zip(self.probabilities)
    }

    fn ranked(&self) -> ((Domain, f32), (Domain, f32)) {
        let mut best = (Domain::Other, f32::NEG_INFINITY);
        let mut second = best;
        for entry in self.iter() {
            if entry.1 > best.1 {
                (best, second) = (entry, best);
            } else if entry.1 > second.1 {
                second = entry;
            }
        }
        (best, second)
    }
}

/// The domain model.
#[derive(Debug)]
pub struct DomainClassifier {
    model: LinearModel<'static, LANES>,
}

impl DomainClassifier {
    /// The model that is compiled in, parsed once.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the bytes are part of the program; a test parses them")]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<DomainClassifier> = LazyLock::new(|| {
            DomainClassifier::from_bytes(MODEL).expect("models/domain.bin is a domain model of this build")
        });
        &BUILT_IN
    }

    /// A model from a file's bytes, for measuring one before it is compiled in.
    ///
    /// # Errors
    /// When the bytes are not a model of fourteen classes for this build's features.
    pub fn from_bytes(bytes: &'static [u8]) -> Result<Self, crate::linear::BadModel> {
        let model = LinearModel::parse(bytes)?;
        if model.classes() != Domain::ALL.len() || model.bits() != TABLE_BITS {
            return Err(crate::linear::BadModel::Shape);
        }
        Ok(Self { model })
    }

    /// The name of this classifier in traces: what it is and its version.
    #[must_use]
    pub fn name(&self) -> &'static str {
        "builtin-ngram-v1"
    }

    /// Probabilities for `text`; in time linear in at most two windows of [`WINDOW_BYTES`].
    #[must_use]
    pub fn classify(&self, text: &str) -> DomainScores {
        let mut scorer = Scorer { model: &self.model, sums: Sums::default(), seen: [0; SEEN_WORDS] };
        let (head, tail) = windows(text);
        visit(head, &mut scorer);
        visit(tail, &mut scorer);
        let (slope, _) = self.model.calibration();
        softmax(&self.model.logits(&scorer.sums), slope)
    }
}

struct Scorer<'a> {
    model: &'a LinearModel<'static, LANES>,
    sums: Sums<LANES>,
    /// One bit per row of the table.
    seen: [u64; SEEN_WORDS],
}

const SEEN_WORDS: usize = 1 << (TABLE_BITS - 6);

impl Sink for Scorer<'_> {
    #[inline]
    fn feature(&mut self, hash: u32) {
        let row = hash >> (32 - TABLE_BITS);
        let Some(seen) = self.seen.get_mut((row >> 6) as usize) else { return };
        let bit = 1 << (row & 63);
        if *seen & bit == 0 {
            *seen |= bit;
            self.model.add(hash, &mut self.sums);
        }
    }
}

/// The parts of a text that are read: all of it, or its two ends.
#[must_use]
pub fn windows(text: &str) -> (&str, &str) {
    if text.len() <= 2 * WINDOW_BYTES {
        return (text, "");
    }
    let head = text.floor_char_boundary(WINDOW_BYTES);
    let tail = text.ceil_char_boundary(text.len() - WINDOW_BYTES);
    (&text[..head], &text[tail..])
}

fn softmax(logits: &[f32; LANES], slope: f32) -> DomainScores {
    let mut probabilities: [f32; Domain::ALL.len()] = std::array::from_fn(|class| slope * logits[class]);
    let highest = probabilities.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for probability in &mut probabilities {
        *probability = (*probability - highest).exp();
        total += *probability;
    }
    for probability in &mut probabilities {
        *probability /= total;
    }
    DomainScores { probabilities }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_round_trip() {
        for domain in Domain::ALL {
            assert_eq!(domain.as_str().parse(), Ok(domain));
        }
        assert_eq!(Domain::ComputerScience.as_str(), "computer science");
        assert_eq!("Math".parse::<Domain>(), Err(UnknownDomain));
        assert!(UnknownDomain.to_string().starts_with("unknown domain; one of business, law,"));
    }

    #[test]
    fn order_of_all_is_order_of_discriminants() {
        for (index, domain) in Domain::ALL.into_iter().enumerate() {
            assert_eq!(domain as usize, index);
        }
    }

    #[test]
    fn long_texts_are_read_at_both_ends() {
        let text = "ü".repeat(3 * WINDOW_BYTES + 1);
        let (head, tail) = windows(&text);
        assert!(head.len() <= WINDOW_BYTES && tail.len() <= WINDOW_BYTES && !tail.is_empty());
        let short = "a".repeat(2 * WINDOW_BYTES);
        assert_eq!(windows(&short), (short.as_str(), ""));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn probabilities_are_probabilities(text in "\\PC{0,300}") {
            let scores = DomainClassifier::built_in().classify(&text);
            let total: f32 = scores.iter().map(|(_, probability)| probability).sum();
            prop_assert!((total - 1.0).abs() < 1e-4);
            prop_assert!(scores.best().1 >= scores.second().1 && scores.second().1 >= 0.0);
            prop_assert!((scores.get(scores.best().0) - scores.best().1).abs() < f32::EPSILON);
        }
    }
}
