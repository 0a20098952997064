//! Finding entities: candidates by form, then validation, then the best of those that overlap.
use super::PiiEntity;

/// The compiled recognisers.
#[derive(Debug)]
pub(super) struct Scan;

impl Scan {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn find(&self, _text: &str) -> Vec<PiiEntity> {
        Vec::new()
    }
}
