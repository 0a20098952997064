//! `POST /api/v1/route`: the whole decision about a request of the OpenAI API, with its reasons; nothing is forwarded.
//!
//! The decision is the pipeline's own, made on a record that no sink ever sees: it is in no metric and no exporter,
//! since no model was asked. The call itself leaves a record like any other, of the route alone. A lookup in the cache
//! is part of the decision: a remembered answer is reported as such, beside the choice that would have been made.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use dialects::Dialect;
use http::{Request, StatusCode};
use pipeline::Pipeline;
use pipeline::outcome::{Outcome, Plan, Refusal};
use pipeline::request::Request as RouterRequest;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use trace::finding::{CacheLookup, Finding, RoutingDecision};
use trace::sampling::SamplingVerdict;
use trace::semconv::{self, Vocabularies};
use trace::{Clock, Record, RequestFacts, Stage};

use super::HttpDoor;
use super::answer::{Content, Owner, Response, answer};
use super::receive::{self, Arrival, Received};
use super::routes::DRY_RUN;
use crate::{errors, intake};

pub(crate) async fn route(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    let arrival = match receive::arrive(door, request, DRY_RUN).await {
        Ok(arrival) => arrival,
        Err(response) => return *response,
    };
    receive::guarded(arrival.names(), answered(arrival)).await
}

async fn answered(arrival: Arrival) -> Response {
    let Received { door, pipeline, record, ticket, caller, head, body } = match arrival.receive().await {
        Ok(received) => received,
        Err(response) => return *response,
    };
    let parsed = match intake::parse(dialect(&body), body, door.limits.messages).await {
        Ok(parsed) => parsed,
        Err(error) => return error.answer(record, Some(ticket)),
    };
    let request = intake::request(parsed, &caller, &pipeline.policy, &head.headers);
    let decided = decide(&pipeline, &request, &record.request).await;
    let body = Bytes::from(report(&request, &decided).to_string());
    answer(StatusCode::OK, Content::json(body), Owner::Record(record), Some(ticket))
}

/// A decision with what was recorded on the way.
pub(crate) struct Decided {
    pub(crate) outcome: Outcome,
    pub(crate) record: Record,
}

impl Decided {
    /// The lookup, if it found the answer.
    fn hit(&self) -> Option<&CacheLookup> {
        self.record.spans().iter().find_map(|span| match &span.finding {
            Finding::CacheLookup(finding) if finding.hit => Some(finding),
            _ => None,
        })
    }

    /// The choice of a model, if the request came so far.
    pub(crate) fn routing(&self) -> Option<&RoutingDecision> {
        self.record.spans().iter().find_map(|span| match &span.finding {
            Finding::RoutingDecision(finding) => Some(&**finding),
            _ => None,
        })
    }
}

/// Decides on a record of its own, which goes nowhere.
pub(crate) async fn decide(pipeline: &Pipeline, request: &RouterRequest, facts: &RequestFacts) -> Decided {
    let unsampled = SamplingVerdict { sampled: false, reason: "dry_run" };
    let mut record = Record::new(Clock::start(), None, unsampled, facts.clone());
    intake::note_request(&request.parsed, &mut record);
    let outcome = pipeline.rehearse(request, &mut record).await;
    Decided { outcome, record }
}

/// The API that a body is meant for: the members that only one of them has say which.
fn dialect(body: &Bytes) -> Dialect {
    #[derive(Deserialize)]
    struct Members {
        messages: Option<IgnoredAny>,
        prompt: Option<IgnoredAny>,
        input: Option<IgnoredAny>,
    }
    match serde_json::from_slice(body) {
        Ok(Members { messages: None, prompt: Some(_), .. }) => Dialect::Completions,
        Ok(Members { messages: None, prompt: None, input: Some(_) }) => Dialect::Embeddings,
        // What is none of them, or not JSON at all, gets its error when it is parsed.
        Ok(_) | Err(_) => Dialect::ChatCompletions,
    }
}

fn report(request: &RouterRequest, decided: &Decided) -> Value {
    let mut report = match &decided.outcome {
        Outcome::Refuse(refusal) => refused(refusal),
        Outcome::Answer(_) => json!({"outcome": "answer"}),
        Outcome::Forward(plan) => forwarded(plan),
    };
    if let Some(hit) = decided.hit() {
        report["outcome"] = json!("answer");
        report["cache"] = json!({"similarity": hit.similarity, "age_ms": hit.age_ms});
    }
    report["operation"] = json!(request.parsed.dialect().operation_name());
    report["original_model"] = json!(request.parsed.model());
    report["routing"] = decided.routing().map_or(Value::Null, routing);
    report["stages"] = decided.record.spans().iter().map(|span| stage(&decided.record, span)).collect();
    report
}

fn refused(refusal: &Refusal) -> Value {
    json!({
        "outcome": "refuse",
        "refusal": {
            "status": errors::status(refusal.code).as_u16(),
            "code": refusal.code.as_str(),
            "message": refusal.message,
            "param": refusal.param,
            "decision": refusal.decision,
        },
    })
}

fn forwarded(plan: &Plan) -> Value {
    let choices: Vec<Value> = plan
        .choices
        .iter()
        .map(|choice| {
            let endpoints: Vec<&str> =
                choice.model.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
            json!({"model": choice.model.name, "sent_as": choice.upstream_name, "endpoints": endpoints})
        })
        .collect();
    json!({
        "outcome": "forward",
        "plan": {
            "choices": choices,
            "max_attempts": plan.max_attempts,
            "masked_texts": plan.masked_texts.len(),
            "system_prompt": plan.system_prompt.is_some(),
            "remembered": plan.store.is_some(),
        },
    })
}

fn routing(finding: &RoutingDecision) -> Value {
    let model = finding.selected_model.as_deref().unwrap_or("nothing");
    let candidates = finding.candidates.iter().map(|(model, score)| json!({"model": model, "score": score}));
    let rejected = finding.rejected.iter().map(|(model, why)| json!({"model": model, "reason": why}));
    json!({
        "strategy": finding.strategy.as_str(),
        "decision": finding.decision,
        "reason": finding.reason.sentence(model),
        "reason_code": finding.reason.code(),
        "selected_model": finding.selected_model,
        "candidates": candidates.collect::<Vec<_>>(),
        "rejected": rejected.collect::<Vec<_>>(),
        "reasoning": {
            "enabled": finding.reasoning.enabled,
            "effort": finding.reasoning.effort,
            "family": finding.reasoning.family,
        },
    })
}

/// A stage as its span would say it, in the router's own vocabulary.
fn stage(record: &Record, span: &trace::Span) -> Value {
    let own = Vocabularies { openinference: false, genai: false };
    let attributes: Map<String, Value> = semconv::span_attributes(record, span, own)
        .into_iter()
        .map(|(key, value)| (key.into_owned(), attribute(value)))
        .collect();
    let name = Stage::span_name(span.stage);
    json!({"name": name, "duration_ms": semconv::milliseconds(span.duration_ns()), "attributes": attributes})
}

fn attribute(value: semconv::Value<'_>) -> Value {
    match value {
        semconv::Value::String(value) => json!(value),
        semconv::Value::Bool(value) => json!(value),
        semconv::Value::Int(value) => json!(value),
        semconv::Value::Double(value) => json!(value),
        semconv::Value::Strings(values) => json!(values),
    }
}
