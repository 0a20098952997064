//! `semantic_router.classification`: what the prompt is about.

use std::sync::Arc;

use trace::finding::{Classification, Finding};
use trace::{Record, Stage, Timed};

use crate::outcome::Refusal;
use crate::policy::{FailurePolicy, Subject};
use crate::ports::CategoryScores;
use crate::signals::Measured;
use crate::stages::failed;

/// Records the measurement and returns the scores; empty where it was not needed or was skipped.
pub(crate) fn record(
    measured: Measured<Vec<(Subject, CategoryScores)>>,
    classifier: impl FnOnce() -> Arc<str>,
    policy: FailurePolicy,
    record: &mut Record,
) -> Result<Vec<(Subject, CategoryScores)>, Refusal> {
    let Some(Timed { value, started, ended }) = measured else { return Ok(Vec::new()) };
    match value {
        Ok(scores) => {
            let finding =
                scores.first().map_or(Finding::Pending, |(_, scores)| finding(scores, classifier()));
            record.add(Stage::Classification, Timed { value: finding, started, ended });
            Ok(scores)
        }
        Err(failure) => {
            let index = record.add(Stage::Classification, Timed { value: Finding::Pending, started, ended });
            failed(record, index, failure, policy).map(|()| Vec::new())
        }
    }
}

fn finding(scores: &CategoryScores, classifier: Arc<str>) -> Finding {
    let nothing = || (Arc::from(""), 0.0);
    let (category, confidence) = scores.ranked.first().cloned().unwrap_or_else(nothing);
    let (second_category, second_confidence) = scores.ranked.get(1).cloned().unwrap_or_else(nothing);
    Finding::Classification(Classification {
        category,
        confidence,
        second_category,
        second_confidence,
        classifier,
    })
}
