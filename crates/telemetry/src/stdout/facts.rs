//! What a span found, as short facts for people: the leaves of the tree.

use std::sync::Arc;

use trace::finding::{
    BackendSelection, CacheLookup, CacheStore, Classification, Finding, JailbreakDetection, PiiDetection,
    ResponseProcessing, RoutingDecision, SecurityAction, SystemPromptInjection, UpstreamRequest,
};
use trace::{EventKind, Record, Span, SpanStatus};

use super::tree::{Show, Style};

/// The facts of a span, one per line, in the order of their weight.
pub(super) fn of(span: &Span, record: &Record, style: Style) -> Vec<String> {
    let mut facts = found(span, record, style);
    for link in &span.links {
        facts.push(format!("from trace {}", style.trace_id(link.context.trace_id)));
    }
    for event in &span.events {
        match &event.kind {
            EventKind::ClientDisconnected => {
                let at = event.at_ns.saturating_sub(span.start_ns);
                facts.push(format!("client disconnected after {}", style.duration(at)));
            }
            EventKind::CutShort => {
                let at = event.at_ns.saturating_sub(span.start_ns);
                facts.push(format!("cut short by the client or the backend after {}", style.duration(at)));
            }
            EventKind::UpstreamRetry { reason } => facts.push(format!("another attempt follows: {reason}")),
            // The first token stands with the tokens, the exception is the span's error.
            EventKind::FirstToken | EventKind::Exception { .. } => {}
        }
    }
    if let SpanStatus::Error { kind, description } = &span.status {
        facts.push(format!("error: {kind}: {description}"));
    }
    if let Some(failure) = &span.failure {
        facts.push(format!("failed: {}: {}; then {}", failure.kind, failure.description, failure.then));
    }
    facts
}

fn found(span: &Span, record: &Record, style: Style) -> Vec<String> {
    match &span.finding {
        Finding::Pending => Vec::new(),
        Finding::Classification(finding) => vec![classification(finding)],
        Finding::PiiDetection(finding) => vec![pii_detection(finding)],
        Finding::JailbreakDetection(finding) => vec![jailbreak_detection(finding)],
        Finding::CacheLookup(finding) => vec![cache_lookup(finding, style)],
        Finding::RoutingDecision(finding) => routing_decision(finding),
        Finding::BackendSelection(finding) => backend_selection(finding, style),
        Finding::SystemPromptInjection(finding) => vec![system_prompt_injection(finding)],
        Finding::UpstreamRequest(finding) => upstream_request(span, finding, record, style),
        Finding::ResponseProcessing(finding) => vec![response_processing(finding)],
        Finding::CacheStore(finding) => vec![cache_store(finding)],
    }
}

fn classification(finding: &Classification) -> String {
    format!(
        "category: {}, confidence: {:.2}, next: {} {:.2}",
        finding.category, finding.confidence, finding.second_category, finding.second_confidence
    )
}

fn pii_detection(finding: &PiiDetection) -> String {
    if finding.count == 0 {
        return "pii.detected: false".to_owned();
    }
    let types = finding.types.join(", ");
    format!("pii.detected: true, types: {types}, count: {}, {}", finding.count, action(finding.action))
}

fn jailbreak_detection(finding: &JailbreakDetection) -> String {
    let Some(kind) = finding.kind.filter(|_| finding.detected) else {
        let outcome = if finding.detected { format!(", {}", action(finding.action)) } else { String::new() };
        return format!(
            "jailbreak.detected: {}, confidence: {:.2}{outcome}",
            finding.detected, finding.confidence
        );
    };
    format!(
        "jailbreak.detected: true, type: {kind}, confidence: {:.2}, {}",
        finding.confidence,
        action(finding.action)
    )
}

fn action(action: SecurityAction) -> String {
    format!("action: {}", action.as_str())
}

fn cache_lookup(finding: &CacheLookup, style: Style) -> String {
    let mut fact = format!("cache.hit: {}", finding.hit);
    if let Some(similarity) = finding.similarity {
        fact.push_str(&format!(", similarity: {similarity:.2}"));
    }
    if let Some(age_ms) = finding.age_ms {
        let age = match style.times {
            Show::Shown => format!("{:.1}s", age_ms / 1e3),
            Show::Masked => "_".to_owned(),
        };
        fact.push_str(&format!(", age: {age}"));
    }
    fact
}

fn routing_decision(finding: &RoutingDecision) -> Vec<String> {
    let Some(model) = &finding.selected_model else {
        return vec!["selected_model: none".to_owned(), rejected(&finding.rejected)];
    };
    let reasoning = match (finding.reasoning.enabled, &finding.reasoning.effort) {
        (true, Some(effort)) => format!("true ({effort} effort)"),
        (enabled, _) => enabled.to_string(),
    };
    let mut facts = vec![
        format!("selected_model: {model}, reasoning: {reasoning}"),
        format!("because {}", finding.reason.sentence(model)),
    ];
    if finding.candidates.len() > 1 {
        let candidates: Vec<String> =
            finding.candidates.iter().map(|(model, score)| format!("{model} {score:.2}")).collect();
        facts.push(format!("candidates: {}", candidates.join(", ")));
    }
    if !finding.rejected.is_empty() {
        facts.push(rejected(&finding.rejected));
    }
    facts
}

fn rejected(rejected: &[(Arc<str>, &'static str)]) -> String {
    format!("rejected: {}", reasons(rejected))
}

fn reasons(names: &[(Arc<str>, &'static str)]) -> String {
    let each: Vec<String> = names.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    each.join(", ")
}

fn backend_selection(finding: &BackendSelection, style: Style) -> Vec<String> {
    let endpoint = match (&finding.endpoint, &finding.address) {
        (Some(name), Some(address)) => format!("endpoint: {name} at {}", style.address(address)),
        (Some(name), None) => format!("endpoint: {name}"),
        (None, _) => "endpoint: none".to_owned(),
    };
    let mut facts = vec![format!("{endpoint}, {} among {}", finding.strategy, finding.candidates)];
    if !finding.excluded.is_empty() {
        facts.push(format!("excluded: {}", reasons(&finding.excluded)));
    }
    facts
}

fn system_prompt_injection(finding: &SystemPromptInjection) -> String {
    if !finding.injected {
        return "injected: false".to_owned();
    }
    format!("injected: true, mode: {}, length: {} bytes", finding.mode, finding.length_bytes)
}

fn upstream_request(span: &Span, finding: &UpstreamRequest, record: &Record, style: Style) -> Vec<String> {
    let status = finding.http_status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    let mut facts = vec![format!(
        "model: {}, endpoint: {}, status: {status}, attempt: {}",
        finding.model,
        finding.endpoint,
        style.attempt(finding.attempt)
    )];
    let answer = &finding.answer;
    let mut said = Vec::new();
    if let Some(usage) = answer.usage {
        said.push(format!("tokens: {} in, {} out", usage.prompt, usage.completion));
    }
    if let Some(first) = answer.first_token_ns.filter(|_| finding.parameters.stream) {
        said.push(format!("first token after {}", style.duration(first.saturating_sub(span.start_ns))));
    }
    if !answer.finish_reasons.is_empty() {
        let reasons: Vec<&str> = answer.finish_reasons.iter().map(AsRef::as_ref).collect();
        said.push(format!("finished: {}", reasons.join(", ")));
    }
    if let Some(cost) = finding.cost {
        said.push(format!("cost: ${:.6}", cost.total()));
    }
    if !said.is_empty() {
        facts.push(said.join(", "));
    }
    if record.client_wait_ns > 0 && finding.stalled_by_client_ms > 0.0 && style.times == Show::Shown {
        facts.push(format!("stalled by the client for {:.0}ms", finding.stalled_by_client_ms));
    }
    facts
}

fn response_processing(finding: &ResponseProcessing) -> String {
    let mut fact = format!("{} bytes in, {} bytes out", finding.bytes_in, finding.bytes_out);
    if finding.unmasked > 0 {
        fact.push_str(&format!(", unmasked: {}", finding.unmasked));
    }
    fact
}

fn cache_store(finding: &CacheStore) -> String {
    if finding.stored {
        return format!("stored: true, {} bytes", finding.bytes);
    }
    format!("stored: false, {}", finding.reason)
}
