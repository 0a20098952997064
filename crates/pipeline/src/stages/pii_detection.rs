//! `semantic_router.security.pii_detection`: personal data in the prompt, its kinds and number, never its values.

use trace::finding::{Finding, PiiDetection, SecurityAction};
use trace::{Record, Stage, Timed};

use crate::outcome::Refusal;
use crate::policy::Guards;
use crate::signals::{EntitiesByText, Measured, PiiFindings};
use crate::stages::failed;

/// Records the measurement and returns the entities that count; `None` where nobody looked or the check was skipped.
pub(crate) fn record(
    measured: Measured<EntitiesByText>,
    guards: &Guards,
    record: &mut Record,
) -> Result<Option<PiiFindings>, Refusal> {
    let Some(Timed { value, started, ended }) = measured else { return Ok(None) };
    match value {
        Ok(by_text) => {
            let findings = counted(by_text, guards);
            let finding = PiiDetection {
                types: findings.types(),
                count: findings.count(),
                action: if findings.count() > 0 { SecurityAction::Reported } else { SecurityAction::Allowed },
            };
            record.add(Stage::PiiDetection, Timed { value: Finding::PiiDetection(finding), started, ended });
            Ok(Some(findings))
        }
        Err(failure) => {
            let index = record.add(Stage::PiiDetection, Timed { value: Finding::Pending, started, ended });
            failed(record, index, failure, guards.on_failure.pii_detection).map(|()| None)
        }
    }
}

/// Sets the final action, known when routing is done.
pub(crate) fn set_action(record: &mut Record, action: SecurityAction) {
    if let Some(span) = record.stage_mut(Stage::PiiDetection)
        && let Finding::PiiDetection(finding) = &mut span.finding
    {
        finding.action = action;
    }
}

fn counted(by_text: EntitiesByText, guards: &Guards) -> PiiFindings {
    let texts = by_text.into_iter().filter_map(|(id, mut entities)| {
        entities.retain(|entity| entity.confidence >= guards.pii_threshold);
        (!entities.is_empty()).then_some((id, entities))
    });
    PiiFindings { by_text: texts.collect() }
}
