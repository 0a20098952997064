//! What the router tells the client about its request: a pure function of the record, the same on every door.

use trace::Record;
use trace::finding::{Finding, SecurityAction};

/// Names and values, all of them; names in lower case.
pub fn answer_headers(record: &Record) -> Vec<(&'static str, String)> {
    let context = record.root_context();
    let traceparent = context.traceparent();
    let mut headers = vec![
        ("x-request-id", record.request.id.to_string()),
        ("x-trace-id", record.trace_id.to_string()),
        ("server-timing", format!("trace;desc={traceparent}")),
        ("traceresponse", traceparent),
    ];
    if let Some(decision) = &record.refused_by {
        headers.push(("x-vsr-selected-decision", decision.to_string()));
    }
    for span in record.spans() {
        match &span.finding {
            Finding::Classification(finding) => {
                headers.push(("x-vsr-selected-category", finding.category.to_string()));
            }
            Finding::RoutingDecision(finding) => {
                if let Some(model) = record.answering_model.as_ref().or(finding.selected_model.as_ref()) {
                    headers.push(("x-vsr-selected-model", model.to_string()));
                    let reasoning = if finding.reasoning.enabled { "on" } else { "off" };
                    headers.push(("x-vsr-selected-reasoning", reasoning.to_owned()));
                }
                headers.push(("x-vsr-selected-decision", finding.decision.to_string()));
            }
            Finding::CacheLookup(finding) if finding.hit => {
                headers.push(("x-vsr-cache-hit", "true".to_owned()));
            }
            Finding::PiiDetection(finding) if finding.action == SecurityAction::Blocked => {
                headers.push(("x-vsr-pii-violation", "true".to_owned()));
            }
            Finding::JailbreakDetection(finding) if finding.action == SecurityAction::Blocked => {
                headers.push(("x-vsr-jailbreak-blocked", "true".to_owned()));
            }
            _ => {}
        }
    }
    headers
}
