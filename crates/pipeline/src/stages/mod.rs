//! The stages of a request. A stage, its span and its file share one name.

pub(crate) mod backend_selection;
pub(crate) mod cache_lookup;
pub(crate) mod cache_store;
pub(crate) mod classification;
pub(crate) mod jailbreak_detection;
pub(crate) mod pii_detection;
pub(crate) mod response_processing;
pub(crate) mod routing_decision;
pub(crate) mod system_prompt_injection;
pub(crate) mod upstream_request;

use dialects::response::ErrorCode;
use trace::{Record, SpanIndex, SpanStatus, StageFailure, Text};

use crate::outcome::Refusal;
use crate::policy::FailurePolicy;
use crate::ports::PortFailure;

/// Notes that an optional stage failed, and says what follows.
///
/// # Errors
///
/// A refusal, where the stage's setting says so.
pub(crate) fn failed(
    record: &mut Record,
    index: SpanIndex,
    failure: PortFailure,
    policy: FailurePolicy,
) -> Result<(), Refusal> {
    let Some(span) = record.span_mut(index) else { return Ok(()) };
    span.status = SpanStatus::Error { kind: failure.kind.into(), description: failure.description.clone() };
    span.failure =
        Some(StageFailure { kind: failure.kind, description: failure.description, then: policy.as_str() });
    let name = span.stage.span_name();
    match policy {
        FailurePolicy::Skip => Ok(()),
        FailurePolicy::Refuse => {
            record.fail(failure.kind, Text::trusted(format!("{name} failed and its setting is refuse")));
            Err(refusal(name, failure.kind))
        }
    }
}

/// What the client reads. Only a long text can run out of time, and sending it again helps nobody.
fn refusal(name: &str, kind: &str) -> Refusal {
    if kind == PortFailure::TIMEOUT {
        let message = format!(
            "The request is too large for the check {name}: it did not end in its time, and this router is set to refuse what it could not check. Send less text, or ask the router's operator for more time."
        );
        return Refusal::new(ErrorCode::RequestTooLarge, message);
    }
    let message = format!(
        "The check {name} failed, and this router is set to refuse what it could not check. Try again; if it persists, tell the router's operator."
    );
    Refusal::new(ErrorCode::Internal, message)
}
