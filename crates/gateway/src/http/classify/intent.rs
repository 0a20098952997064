//! The intent of one text: its category, and the model that a chat with this text alone would get.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use pipeline::outcome::Outcome;
use pipeline::request::Request;
use serde_json::{Value, json};

use super::super::dry_run;
use super::measure::{self, elapsed_ms};
use super::{Call, Refused};

pub(super) async fn classify(call: &Call, text: Arc<str>) -> Result<Value, Refused> {
    let started = Instant::now();
    let options = call.input.options()?;
    let threshold = options.threshold.unwrap_or(0.0);
    let read = Arc::clone(&text);
    let scores = call.elsewhere(text.len(), move |pipeline, _| measure::classify(pipeline, &read)).await?;
    let (category, confidence) = measure::best(&scores, threshold);
    let (model, decision) = recommended(call, &text).await;
    let mut result = json!({
        "classification": {
            "category": category,
            "confidence": confidence,
            "processing_time_ms": elapsed_ms(started),
        },
        "recommended_model": model,
        "routing_decision": decision,
    });
    if options.return_probabilities {
        result["probabilities"] = measure::probabilities(&scores);
    }
    Ok(result)
}

/// The model that would answer, and the decision that says so; for a request that would be refused no model, and the
/// decision or the code that refuses.
async fn recommended(call: &Call, text: &str) -> (Option<Arc<str>>, String) {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
    let Ok(parsed) = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body.to_string())) else {
        return (None, "none".to_owned());
    };
    let principal = call.principal.clone();
    let request = Request { parsed, principal, session: None, headers: Vec::new() };
    let decided = dry_run::decide(&call.pipeline, &request, &call.facts).await;
    match &decided.outcome {
        Outcome::Refuse(refusal) => {
            let by = refusal.decision.as_deref().unwrap_or(refusal.code.as_str());
            (None, by.to_owned())
        }
        Outcome::Answer(hit) => (Some(Arc::clone(&hit.answer.model)), "cache".to_owned()),
        Outcome::Forward(plan) => {
            let model = plan.choices.first().map(|choice| Arc::clone(&choice.model.name));
            let decision = decided.routing().map(|finding| finding.decision.to_string());
            (model, decision.unwrap_or_default())
        }
    }
}
