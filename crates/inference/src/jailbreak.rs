//! Whether a text tries to overrule the instructions that a model was given.
//!
//! Two detectors, reported together: a calibrated linear model over hashed n-grams, and a small table of explicit
//! [`patterns`] for the plain cases. It is not a check of what a text asks for (weapons, hate): only of whether it attacks the
//! instruction hierarchy. Invariant: every part of a text is looked at, so padding hides nothing; the score is that of the worst
//! window, and time is linear in the text (the request body limit bounds it).
//!
//! Windows: words are grouped into blocks of [`BLOCK_WORDS`], and every run of 2, 8 and 24 blocks is scored; the
//! shorter ones find a sentence in a long letter, the longer ones a scene that is set over pages. The longer the text, the more must a
//! window score, since the highest of many scores is high by chance. A block that repeats the one before it counts once.

pub mod patterns;
mod windows;

use crate::features::{visit, visit_with_leave};
use crate::leave::{Leave, always};
use crate::linear::{BadModel, LinearModel};
use std::sync::LazyLock;

pub use windows::{BLOCK_FEATURES, BLOCK_WORDS, SCALES, Seen, norm};

/// The score above which a text counts as an attack: it is where the training command pins the calibration, so that less than 1 %
/// of the harmless prompts that it was not trained on reach it.
pub const DEFAULT_THRESHOLD: f32 = 0.7;

/// The score that an explicit pattern gives.
const PATTERN_SCORE: f32 = 0.98;

static MODEL: &[u8] = include_bytes!("../models/jailbreak.bin");

/// What sort of attack it is: few words, fit for labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JailbreakKind {
    /// "Ignore all previous instructions".
    InstructionOverride,
    /// "Print your system prompt".
    SystemPromptExtraction,
    /// "You are DAN, free of all rules".
    RolePlay,
    /// Commands smuggled in as a system message, chat markup, or a document's text.
    Injection,
    /// What the learned model finds without a pattern that explains it; also what harmless texts have.
    Other,
}

impl JailbreakKind {
    /// The kind as labels and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InstructionOverride => "instruction_override",
            Self::SystemPromptExtraction => "system_prompt_extraction",
            Self::RolePlay => "role_play",
            Self::Injection => "injection",
            Self::Other => "other",
        }
    }
}

/// What was found in one text.
#[derive(Debug, Clone, PartialEq)]
pub struct JailbreakFinding {
    /// 0 to 1: the worse of the learned score and the explicit patterns'.
    pub score: f32,
    /// 0 to 1: the learned model's calibrated score alone.
    pub learned: f32,
    /// The sort of attack, [`JailbreakKind::Other`] where no pattern names it.
    pub kind: JailbreakKind,
    /// Names of the explicit patterns that matched, each once, in the order of the table.
    pub patterns: Vec<&'static str>,
}

/// The detector.
#[derive(Debug)]
pub struct JailbreakDetector {
    model: LinearModel<'static, 1>,
}

impl JailbreakDetector {
    /// The detector that is compiled in, parsed once.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the bytes are part of the program; a test parses them")]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<JailbreakDetector> = LazyLock::new(|| {
            patterns::warm_up();
            JailbreakDetector::from_bytes(MODEL)
                .expect("models/jailbreak.bin is a jailbreak model of this build")
        });
        &BUILT_IN
    }

    /// A detector from a model file's bytes, for measuring one before it is compiled in.
    ///
    /// # Errors
    /// When the bytes are not a model of one class for this build's features.
    pub fn from_bytes(bytes: &'static [u8]) -> Result<Self, BadModel> {
        Ok(Self { model: LinearModel::parse(bytes)? })
    }

    /// The name of this detector in traces: what it is and its version.
    #[must_use]
    pub fn name(&self) -> &'static str {
        "builtin-ngram-v1"
    }

    /// Looks at all of `text`.
    #[must_use]
    pub fn detect(&self, text: &str) -> JailbreakFinding {
        let Ok(finding) = self.detect_with_leave(text, &mut always);
        finding
    }

    /// As [`Self::detect`], asking for leave as it goes on. Without leave nothing is known of the text.
    ///
    /// # Errors
    /// That of `leave`.
    pub fn detect_with_leave<E>(&self, text: &str, leave: &mut Leave<'_, E>) -> Result<JailbreakFinding, E> {
        let learned = self.learned_with_leave(text, leave)?;
        let found = patterns::find_with_leave(text, leave)?;
        let explicit = if found.names.is_empty() { 0.0 } else { PATTERN_SCORE };
        Ok(JailbreakFinding {
            score: learned.max(explicit),
            learned,
            kind: found.kind,
            patterns: found.names,
        })
    }

    /// The learned model's score of the worst window.
    #[must_use]
    pub fn learned(&self, text: &str) -> f32 {
        let Ok(score) = self.learned_with_leave(text, &mut always);
        score
    }

    fn learned_with_leave<E>(&self, text: &str, leave: &mut Leave<'_, E>) -> Result<f32, E> {
        let mut scorer = windows::Scorer::new(&self.model);
        visit_with_leave(text, &mut scorer, leave)?;
        let (slope, offset) = self.model.calibration();
        Ok(sigmoid(slope * scorer.worst_logit() + offset))
    }

    /// The worst window's logit before calibration, for the training command.
    #[must_use]
    pub fn logit(&self, text: &str) -> f32 {
        let mut scorer = windows::Scorer::new(&self.model);
        visit(text, &mut scorer);
        scorer.worst_logit()
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
