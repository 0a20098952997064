//! Personal data and secrets in a text: recognisers with checksums.
//!
//! What has a form is found here: numbers with check digits, addresses of machines, keys, dates. Names of people and
//! places have no form; those types are known but [not recognised](PiiType::is_recognised) by this tier.
//! A text that is written in other characters than plain ones (full-width digits, no-break spaces, invisible characters between
//! digits) is read in plain ones too; positions are those of the text as it came.
//! It is not a policy: which types may go to which model, and what stands in for them, is decided elsewhere. Invariant: entities are sorted, do not overlap,
//! and start and end on character boundaries; time is linear in the text.

mod checksum;
mod fold;
mod kinds;
mod network;
mod numbers;
mod scan;
mod secrets;
mod time;

pub use kinds::{PiiType, UnknownPiiType};

use crate::leave::{Leave, always};
use std::sync::LazyLock;

/// One piece of personal data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PiiEntity {
    /// What it is.
    pub kind: PiiType,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// 0 to 1: how sure the form alone makes it; 1 only with a check digit or a fixed prefix.
    pub confidence: f32,
}

impl PiiEntity {
    /// The entity's text. Personal data: never log it.
    #[must_use]
    pub fn value<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The recognisers.
#[derive(Debug)]
pub struct PiiRecognizers {
    scan: scan::Scan,
}

impl PiiRecognizers {
    /// The recognisers that are compiled in, built once.
    #[must_use]
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<PiiRecognizers> =
            LazyLock::new(|| PiiRecognizers { scan: scan::Scan::new() });
        &BUILT_IN
    }

    /// The name of this tier in traces: what it is and its version.
    #[must_use]
    pub fn name(&self) -> &'static str {
        "builtin-recognizers-v1"
    }

    /// All entities in `text`, sorted, without overlap.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<PiiEntity> {
        let Ok(entities) = self.find_with_leave(text, &mut always);
        entities
    }

    /// As [`Self::find`], asking for leave before each pass over the text.
    ///
    /// # Errors
    /// That of `leave`.
    pub fn find_with_leave<E>(&self, text: &str, leave: &mut Leave<'_, E>) -> Result<Vec<PiiEntity>, E> {
        self.scan.find(text, leave)
    }
}
