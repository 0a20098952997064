//! One attempt: which endpoint, and what is sent to it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dialects::response::ErrorCode;
use trace::finding::Finding;
use trace::{EventKind, SpanStatus, Stage, Text};

use super::{Current, Exchange, Sight, UpstreamFault};
use crate::outcome::Refusal;
use crate::policy::{Credentials, Endpoint, HeaderChanges};
use crate::ports::NoneAvailable;
use crate::stages::response_processing::AnswerReader;
use crate::stages::{backend_selection, system_prompt_injection, upstream_request};

/// What is sent to an endpoint.
#[derive(Debug)]
pub struct Attempt {
    /// Where.
    pub endpoint: Arc<Endpoint>,
    /// Path of the call, prefix included.
    pub path: Arc<str>,
    /// The edited body.
    pub body: Bytes,
    /// Headers of ours: propagation, request id, model, endpoint; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Changes by the decision, after everything else.
    pub changes: HeaderChanges,
    /// Whether the caller's `authorization` goes on.
    pub caller_credentials: CallerCredentials,
}

/// Whether the caller's `authorization` goes on to this endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerCredentials {
    /// It does.
    Forward,
    /// It does not.
    Withhold,
}

impl Exchange {
    /// The next attempt: selects an endpoint, edits the request, opens the upstream span.
    ///
    /// # Errors
    ///
    /// A refusal when no endpoint of any choice is left.
    pub fn attempt(&mut self) -> Result<Attempt, Refusal> {
        let dialect = self.request.parsed.dialect();
        let mut last = NoneAvailable { strategy: "weighted", excluded: Vec::new() };
        while let (Some(choice), Some(record)) = (self.plan.choices.get(self.choice), self.record.as_mut()) {
            let all_tried = choice.model.endpoints.iter().all(|endpoint| self.tried.contains(&endpoint.name));
            if all_tried && self.choice + 1 < self.plan.choices.len() {
                // Nothing is left to select from: the next model's turn, without a span that says nothing.
                self.choice += 1;
                continue;
            }
            let backends = &self.pipeline.ports.backends;
            match backend_selection::run(backends, &choice.model, dialect, &self.tried, record) {
                Ok(selected) => return self.attempt_at(selected),
                Err(none) => {
                    last = none;
                    self.choice += 1;
                }
            }
        }
        let refusal = exhausted(&last);
        if let Some(record) = self.record.as_mut() {
            record.refusal = Some(refusal.code.as_str());
            record.fail(refusal.code.as_str(), refusal.text());
        }
        self.ended = true;
        Err(refusal)
    }

    fn attempt_at(&mut self, selected: crate::ports::Selected) -> Result<Attempt, Refusal> {
        let endpoint = selected.endpoint;
        let (Some(choice), Some(record)) = (self.plan.choices.get(self.choice), self.record.as_mut()) else {
            return Err(exhausted(&NoneAvailable { strategy: selected.strategy, excluded: Vec::new() }));
        };
        self.attempts += 1;
        self.tried.push(Arc::clone(&endpoint.name));
        let mut edits = upstream_request::edits(&self.request, &self.plan, choice, &endpoint);
        // What nobody takes off again is not asked for.
        edits.stream_options_include_usage &= self.sight == Sight::Whole;
        let prompt = self.plan.system_prompt.as_ref();
        let body = match system_prompt_injection::run(&self.request, prompt, edits, record) {
            Ok(body) => body,
            Err(error) => {
                record.fail("internal", Text::trusted(error.to_string()));
                self.ended = true;
                let message = "The router could not prepare the request for the backend; this is its own fault. Tell its operator.";
                return Err(Refusal::new(ErrorCode::Internal, message));
            }
        };
        record.answering_model = Some(Arc::clone(&choice.name));
        let span = record.begin(Stage::UpstreamRequest);
        let context = record.send_under(span);
        let mut headers = vec![
            ("x-request-id", record.request.id.to_string()),
            ("x-selected-model", choice.name.to_string()),
            ("x-gateway-destination-endpoint", endpoint.name.to_string()),
        ];
        headers.extend(context.iter().flat_map(|context| record.propagators.inject(context)));
        let provider = self.first_provider.get_or_insert_with(|| Arc::clone(&choice.model.provider));
        let same_provider = *provider == choice.model.provider;
        let caller_credentials = match &endpoint.credentials {
            Credentials::Passthrough if same_provider => CallerCredentials::Forward,
            Credentials::Passthrough | Credentials::Key(_) | Credentials::None => CallerCredentials::Withhold,
        };
        let finding = upstream_request::finding(&self.request, choice, &endpoint, self.attempts);
        let path = Arc::clone(&finding.path);
        self.current = Some(Current {
            span,
            finding: Box::new(finding),
            endpoint: Arc::clone(&endpoint),
            reader: AnswerReader::Opaque,
            started: Instant::now(),
            last_emitted: None,
            _permit: selected.permit,
        });
        Ok(Attempt { endpoint, path, body, headers, changes: self.plan.headers.clone(), caller_credentials })
    }

    /// Closes the attempt's span; `reason` is a status that sends the request elsewhere.
    pub(super) fn close_attempt(&mut self, reason: Option<(String, &'static str)>) {
        let (Some(current), Some(record)) = (self.current.take(), self.record.as_mut()) else { return };
        record.end(current.span, Finding::UpstreamRequest(current.finding));
        let now = record.clock.elapsed_ns();
        let (Some((kind, description)), Some(span)) = (reason, record.span_mut(current.span)) else { return };
        let kind: Cow<'static, str> = Cow::Owned(kind);
        span.push_event(now, EventKind::UpstreamRetry { reason: kind.clone() });
        span.status = SpanStatus::Error { kind, description: Text::trusted(description) };
    }

    pub(super) fn close_attempt_with(&mut self, fault: &UpstreamFault, retried: bool) {
        let Some(current) = self.current.take() else { return };
        let kind = Cow::Borrowed(fault.kind.as_str());
        self.note_answer(current);
        let Some(record) = self.record.as_mut() else { return };
        let now = record.clock.elapsed_ns();
        let attempt = record.spans().iter().rposition(|span| span.stage == Stage::UpstreamRequest);
        let Some(span) = attempt.and_then(|index| record.span_at_mut(index)) else { return };
        let message = fault.description.clone();
        span.push_event(now, EventKind::Exception { kind: kind.clone(), message });
        if retried {
            span.push_event(now, EventKind::UpstreamRetry { reason: kind.clone() });
        }
        span.status = SpanStatus::Error { kind, description: fault.description.clone() };
    }
}

fn exhausted(none: &NoneAvailable) -> Refusal {
    let busy = none.excluded.iter().any(|(_, why)| *why == "busy");
    if busy {
        let message =
            "Every backend of the model is at its limit of parallel requests. Try again in a moment.";
        return Refusal::new(ErrorCode::OverCapacity, message);
    }
    let each: Vec<String> = none.excluded.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    let message = format!(
        "No backend of the model can take the request now ({}). Try again; if it persists, tell the router's operator.",
        each.join(", ")
    );
    Refusal::new(ErrorCode::NoBackend, message)
}
