//! The router's own vocabulary.

use super::{Attributes, milliseconds};
use crate::finding::{
    BackendSelection, CacheLookup, CacheStore, Classification, Finding, JailbreakDetection, PiiDetection,
    ResponseProcessing, RoutingDecision, SystemPromptInjection, UpstreamRequest,
};
use crate::span::SpanStatus;
use crate::{Record, Span, Text};

pub(super) fn root<'a>(record: &'a Record, out: &mut Attributes<'a>) {
    let request = &record.request;
    out.string("request.id", request.id.as_str());
    out.maybe_string("user.id", request.user_id.as_ref().map(Text::as_str));
    out.maybe_string("session.id", request.session_id.as_ref().map(Text::as_str));
    out.string("http.method", request.method.as_ref());
    out.string("http.path", request.path.as_str());
    out.string("http.request.method", request.method.as_ref());
    out.string("url.path", request.path.as_str());
    out.string("url.scheme", request.scheme);
    out.string("http.route", request.route);
    out.maybe_string("routing.original_model", request.original_model.as_ref().map(Text::as_str));
    out.maybe_int("http.response.status_code", record.http_status.map(u64::from));
    out.double("processing.time_ms", milliseconds(record.duration_ns));
    out.double("processing.router_time_ms", milliseconds(record.router_ns()));
    out.double("request.read_ms", milliseconds(record.read_ns));
    out.double("response.client_wait_ms", milliseconds(record.client_wait_ns));
    out.string("semantic_router.door", request.door.as_str());
    out.string("semantic_router.observed", request.observed.as_str());
    out.string("semantic_router.config.version", &*request.config_version);
    out.string("sampling.reason", record.sampling.reason);
    if record.sampling_partial {
        out.bool("sampling.partial", true);
    }
    out.maybe_string("routing.decision", record.refused_by.as_deref());
    match (&record.fault, record.refusal) {
        (Some(fault), _) => out.string("error.type", fault.kind.as_ref()),
        (None, Some(code)) => out.string("error.type", code),
        (None, None) => {}
    }
    for (key, value) in &request.custom {
        out.custom(key, value.as_str());
    }
}

pub(super) fn span<'a>(span: &'a Span, out: &mut Attributes<'a>) {
    match &span.finding {
        Finding::Pending => {}
        Finding::Classification(finding) => classification(span, finding, out),
        Finding::PiiDetection(finding) => pii_detection(span, finding, out),
        Finding::JailbreakDetection(finding) => jailbreak_detection(span, finding, out),
        Finding::CacheLookup(finding) => cache_lookup(span, finding, out),
        Finding::RoutingDecision(finding) => routing_decision(finding, out),
        Finding::BackendSelection(finding) => backend_selection(finding, out),
        Finding::SystemPromptInjection(finding) => system_prompt_injection(finding, out),
        Finding::UpstreamRequest(finding) => upstream_request(finding, out),
        Finding::ResponseProcessing(finding) => response_processing(finding, out),
        Finding::CacheStore(finding) => cache_store(finding, out),
    }
    if let SpanStatus::Error { kind, .. } = &span.status {
        out.string("error.type", kind.as_ref());
    }
    if let Some(failure) = &span.failure {
        out.string("error.type", failure.kind);
        out.string("semantic_router.on_failure", failure.then);
    }
    if span.cancelled {
        out.bool("semantic_router.cancelled", true);
    }
}

fn classification<'a>(span: &Span, finding: &'a Classification, out: &mut Attributes<'a>) {
    out.string("category.name", &*finding.category);
    out.confidence("category.confidence", finding.confidence);
    out.string("category.second.name", &*finding.second_category);
    out.confidence("category.second.confidence", finding.second_confidence);
    out.string("classifier.type", &*finding.classifier);
    out.double("classification.time_ms", milliseconds(span.duration_ns()));
}

fn pii_detection<'a>(span: &Span, finding: &'a PiiDetection, out: &mut Attributes<'a>) {
    out.bool("pii.detected", finding.count > 0);
    out.strings("pii.types", finding.types.iter().copied());
    out.int("pii.count", finding.count.into());
    out.double("pii.detection_time_ms", milliseconds(span.duration_ns()));
    out.string("security.action", finding.action.as_str());
}

fn jailbreak_detection<'a>(span: &Span, finding: &'a JailbreakDetection, out: &mut Attributes<'a>) {
    out.bool("jailbreak.detected", finding.detected);
    out.maybe_string("jailbreak.type", finding.kind);
    out.confidence("jailbreak.confidence", finding.confidence);
    out.double("jailbreak.detection_time_ms", milliseconds(span.duration_ns()));
    out.string("security.action", finding.action.as_str());
}

fn cache_lookup<'a>(span: &Span, finding: &'a CacheLookup, out: &mut Attributes<'a>) {
    out.bool("cache.hit", finding.hit);
    if let Some(similarity) = finding.similarity {
        out.confidence("cache.similarity", similarity);
    }
    out.string("cache.backend", finding.backend);
    out.string("cache.scope", finding.scope);
    out.maybe_double("cache.age_ms", finding.age_ms);
    out.double("cache.lookup_time_ms", milliseconds(span.duration_ns()));
}

fn routing_decision<'a>(finding: &'a RoutingDecision, out: &mut Attributes<'a>) {
    out.string("routing.strategy", finding.strategy.as_str());
    out.string("routing.decision", &*finding.decision);
    let selected = finding.selected_model.as_deref();
    match selected {
        Some(model) => out.string("routing.reason", finding.reason.sentence(model)),
        None => out.string("routing.reason", "no candidate could answer"),
    }
    out.string("routing.reason.code", finding.reason.code());
    out.maybe_string("routing.original_model", finding.original_model.as_ref().map(Text::as_str));
    out.maybe_string("routing.selected_model", selected);
    out.strings(
        "routing.candidates",
        finding.candidates.iter().map(|(model, score)| format!("{model}={score:.2}")),
    );
    out.strings("routing.rejected", finding.rejected.iter().map(|(model, why)| format!("{model}={why}")));
    out.bool("reasoning.enabled", finding.reasoning.enabled);
    out.maybe_string("reasoning.effort", finding.reasoning.effort.as_deref());
    out.maybe_string("reasoning.family", finding.reasoning.family.as_deref());
}

fn backend_selection<'a>(finding: &'a BackendSelection, out: &mut Attributes<'a>) {
    out.maybe_string("endpoint.name", finding.endpoint.as_deref());
    out.maybe_string("endpoint.address", finding.address.as_deref());
    out.string("endpoint.strategy", finding.strategy);
    out.int("endpoint.candidates", finding.candidates.into());
    out.strings("endpoint.excluded", finding.excluded.iter().map(|(name, why)| format!("{name}={why}")));
}

fn system_prompt_injection<'a>(finding: &'a SystemPromptInjection, out: &mut Attributes<'a>) {
    out.bool("system_prompt.injected", finding.injected);
    out.string("system_prompt.mode", finding.mode);
    out.int("system_prompt.length_bytes", finding.length_bytes);
}

fn upstream_request<'a>(finding: &'a UpstreamRequest, out: &mut Attributes<'a>) {
    out.string("model.name", &*finding.model);
    out.string("model.provider", &*finding.provider);
    out.maybe_string("model.version", finding.version.as_deref());
    out.string("endpoint.name", &*finding.endpoint);
    out.string("server.address", &*finding.server_address);
    out.int("server.port", finding.server_port.into());
    out.string("http.request.method", "POST");
    out.maybe_int("http.response.status_code", finding.http_status.map(u64::from));
    out.string("url.path", &*finding.path);
    out.int("attempt", finding.attempt.into());
    out.double("stalled_by_client_ms", finding.stalled_by_client_ms);
}

fn response_processing<'a>(finding: &'a ResponseProcessing, out: &mut Attributes<'a>) {
    out.int("response.unmasked", finding.unmasked.into());
    out.int("response.bytes_in", finding.bytes_in);
    out.int("response.bytes_out", finding.bytes_out);
}

fn cache_store<'a>(finding: &'a CacheStore, out: &mut Attributes<'a>) {
    out.bool("cache.stored", finding.stored);
    out.string("cache.store.reason", finding.reason.as_ref());
    out.int("cache.store.bytes", finding.bytes);
}
