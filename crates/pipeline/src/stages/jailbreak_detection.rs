//! `semantic_router.security.jailbreak_detection`: attempts to turn the model against its instructions.

use trace::finding::{Finding, JailbreakDetection, SecurityAction};
use trace::{Record, Stage, Timed};

use crate::outcome::Refusal;
use crate::policy::{Guards, Subject};
use crate::ports::JailbreakScore;
use crate::signals::Measured;
use crate::stages::failed;

/// Records the measurement and returns the scores; empty where nobody looked or the check was skipped.
pub(crate) fn record(
    measured: Measured<Vec<(Subject, JailbreakScore)>>,
    guards: &Guards,
    record: &mut Record,
) -> Result<Vec<(Subject, JailbreakScore)>, Refusal> {
    let Some(Timed { value, started, ended }) = measured else { return Ok(Vec::new()) };
    match value {
        Ok(scores) => {
            let worst =
                scores.iter().map(|(_, score)| score).max_by(|a, b| a.confidence.total_cmp(&b.confidence));
            let detected = worst.is_some_and(|score| score.confidence >= guards.jailbreak_threshold);
            let finding = JailbreakDetection {
                detected,
                kind: worst.filter(|_| detected).map(|score| score.kind),
                confidence: worst.map_or(0.0, |score| score.confidence),
                action: if detected { SecurityAction::Reported } else { SecurityAction::Allowed },
            };
            record.add(
                Stage::JailbreakDetection,
                Timed { value: Finding::JailbreakDetection(finding), started, ended },
            );
            Ok(scores)
        }
        Err(failure) => {
            let index =
                record.add(Stage::JailbreakDetection, Timed { value: Finding::Pending, started, ended });
            failed(record, index, failure, guards.on_failure.jailbreak_detection).map(|()| Vec::new())
        }
    }
}

/// Sets the final action, known when the decision is made.
pub(crate) fn set_action(record: &mut Record, action: SecurityAction) {
    if let Some(span) = record.stage_mut(Stage::JailbreakDetection)
        && let Finding::JailbreakDetection(finding) = &mut span.finding
    {
        finding.action = action;
    }
}
