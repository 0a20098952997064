//! Asks the pipeline's ports about one text, and writes what they say in this API's shapes.

use std::collections::BTreeMap;
use std::time::Instant;

use dialects::response::ErrorCode;
use pipeline::Pipeline;
use pipeline::masking::Masker;
use pipeline::ports::{CategoryScores, Deadline, PiiEntity, PortFailure};
use serde_json::{Map, Value, json};
use trace::Text;

use super::input::{Options, Task};
use crate::errors::ApiError;

/// A check that failed: for the trace, not for the client.
pub(super) struct Failure {
    pub(super) kind: &'static str,
    pub(super) description: Text,
}

impl Failure {
    pub(super) fn panicked() -> Failure {
        Failure { kind: "panic", description: Text::trusted("a check panicked; this is a bug of the router") }
    }
}

impl From<PortFailure> for Failure {
    fn from(failure: PortFailure) -> Failure {
        Failure { kind: failure.kind, description: failure.description }
    }
}

/// What the client reads of a failure.
pub(super) fn failed(kind: &str) -> ApiError {
    if kind == PortFailure::TIMEOUT {
        let message = "The text is too large: its check did not end in its time. Send less text, or ask the router's operator for more time.";
        return ApiError::new(ErrorCode::RequestTooLarge, message);
    }
    let message =
        "A check of the router failed; this is its own fault. Try again; if it persists, tell its operator.";
    ApiError::new(ErrorCode::Internal, message)
}

/// One text's entry of a batch; for PII and security also the answer to a single text.
pub(super) fn entry(
    pipeline: &Pipeline,
    task: Task,
    text: &str,
    options: &Options,
    deadline: &mut Deadline,
) -> Result<Value, Failure> {
    match task {
        Task::Intent => intent_entry(pipeline, text, options),
        Task::Pii => pii(pipeline, text, options, deadline),
        Task::Security => security(pipeline, text, options, deadline),
    }
}

pub(super) fn classify(pipeline: &Pipeline, text: &str) -> Result<CategoryScores, Failure> {
    Ok(pipeline.ports.domain.classify(text)?)
}

/// The best category with its probability; `other` where that is below the threshold.
pub(super) fn best(scores: &CategoryScores, threshold: f32) -> (String, f64) {
    match scores.ranked.first() {
        Some((category, confidence)) if *confidence >= threshold => {
            (category.to_string(), rounded(*confidence))
        }
        Some((_, confidence)) => ("other".to_owned(), rounded(*confidence)),
        None => ("other".to_owned(), 0.0),
    }
}

pub(super) fn probabilities(scores: &CategoryScores) -> Value {
    let each = scores.ranked.iter().map(|(name, p)| (name.to_string(), json!(rounded(*p))));
    Value::Object(each.collect())
}

fn intent_entry(pipeline: &Pipeline, text: &str, options: &Options) -> Result<Value, Failure> {
    let started = Instant::now();
    let scores = classify(pipeline, text)?;
    let (category, confidence) = best(&scores, options.threshold.unwrap_or(0.0));
    Ok(json!({
        "category": category,
        "confidence": confidence,
        "probabilities": probabilities(&scores),
        "processing_time_ms": elapsed_ms(started),
    }))
}

fn pii(
    pipeline: &Pipeline,
    text: &str,
    options: &Options,
    deadline: &mut Deadline,
) -> Result<Value, Failure> {
    let started = Instant::now();
    let threshold = options.threshold.unwrap_or(pipeline.policy.guards.pii_threshold);
    let mut found = pipeline.ports.pii.find(text, deadline)?;
    let wanted =
        |kind: &str| options.entity_types.as_ref().is_none_or(|types| types.iter().any(|t| t == kind));
    found.retain(|entity| entity.confidence >= threshold && wanted(entity.kind));
    let mut masker = Masker::default();
    let masked_text = options.mask_entities.then(|| masker.mask(text, &found));
    let mut positions = Positions::new(text);
    let entities: Vec<Value> =
        found.iter().map(|entity| described(text, entity, options, &mut masker, &mut positions)).collect();
    let mut result = json!({
        "has_pii": !found.is_empty(),
        "entities": entities,
        "security_recommendation": recommendation(!found.is_empty()),
        "processing_time_ms": elapsed_ms(started),
    });
    if let Some(masked) = masked_text {
        result["masked_text"] = json!(masked);
    }
    Ok(result)
}

fn described(
    text: &str,
    entity: &PiiEntity,
    options: &Options,
    masker: &mut Masker,
    positions: &mut Positions<'_>,
) -> Value {
    let value = text.get(entity.start..entity.end).unwrap_or_default();
    let mut described = Map::new();
    described.insert("type".to_owned(), json!(entity.kind));
    described.insert("value".to_owned(), json!(value));
    described.insert("confidence".to_owned(), json!(rounded(entity.confidence)));
    if options.return_positions {
        described.insert("start_position".to_owned(), json!(positions.at(entity.start)));
        described.insert("end_position".to_owned(), json!(positions.at(entity.end)));
    }
    if options.mask_entities {
        let whole = PiiEntity { start: 0, end: value.len(), ..*entity };
        described.insert("masked_value".to_owned(), json!(masker.mask(value, &[whole])));
    }
    Value::Object(described)
}

fn security(
    pipeline: &Pipeline,
    text: &str,
    options: &Options,
    deadline: &mut Deadline,
) -> Result<Value, Failure> {
    let started = Instant::now();
    let score = pipeline.ports.jailbreak.detect(text, deadline)?;
    let threshold = options.threshold.unwrap_or(pipeline.policy.guards.jailbreak_threshold);
    let detected = score.confidence >= threshold;
    let risk = rounded(score.confidence);
    let reasoning = match detected {
        true => format!("the text looks like {} ({risk:.2}, from {threshold:.2} on it counts)", score.kind),
        false => format!("nothing was found that looks like an attack ({risk:.2} of {threshold:.2})"),
    };
    Ok(json!({
        "is_jailbreak": detected,
        "risk_score": risk,
        "detection_types": if detected { vec![score.kind] } else { Vec::new() },
        "confidence": if detected { risk } else { rounded(1.0 - score.confidence) },
        "recommendation": recommendation(detected),
        "reasoning": reasoning,
        "patterns_detected": score.patterns,
        "processing_time_ms": elapsed_ms(started),
    }))
}

/// Numbers about the entries of a batch.
pub(super) fn statistics(task: Task, results: &[Value]) -> Value {
    let count = |name: &str| results.iter().filter(|result| result[name] == json!(true)).count();
    match task {
        Task::Pii => json!({"pii_count": count("has_pii")}),
        Task::Security => json!({"jailbreak_count": count("is_jailbreak")}),
        Task::Intent => {
            let mut distribution: BTreeMap<&str, usize> = BTreeMap::new();
            for result in results {
                *distribution.entry(result["category"].as_str().unwrap_or_default()).or_default() += 1;
            }
            let confidences = || results.iter().filter_map(|result| result["confidence"].as_f64());
            #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
            let average = confidences().sum::<f64>() / results.len().max(1) as f64;
            json!({
                "category_distribution": distribution,
                "avg_confidence": (average * 1e4).round() / 1e4,
                "low_confidence_count": confidences().filter(|confidence| *confidence < LOW_CONFIDENCE).count(),
            })
        }
    }
}

/// Below this a category is little more than a guess.
const LOW_CONFIDENCE: f64 = 0.5;

/// The word for what a check found, or did not.
pub(super) fn recommendation(found: bool) -> &'static str {
    if found { "block" } else { "allow" }
}

/// Whether the result of a check says to block.
pub(super) fn recommends_block(result: &Value) -> bool {
    result["recommendation"] == "block" || result["security_recommendation"] == "block"
}

pub(super) fn elapsed_ms(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

/// Single precision has no more digits that mean something.
fn rounded(confidence: f32) -> f64 {
    (f64::from(confidence) * 1e4).round() / 1e4
}

/// Characters before a byte position, for positions that only grow.
struct Positions<'a> {
    text: &'a str,
    bytes: usize,
    characters: usize,
}

impl<'a> Positions<'a> {
    fn new(text: &'a str) -> Positions<'a> {
        Positions { text, bytes: 0, characters: 0 }
    }

    fn at(&mut self, byte: usize) -> usize {
        let passed = self.text.get(self.bytes..byte).unwrap_or_default();
        self.characters += passed.chars().count();
        self.bytes = self.bytes.max(byte);
        self.characters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let text = "größe ✓ a@b.de";
        let mut positions = Positions::new(text);
        let start = text.find("a@").unwrap();
        assert_eq!((positions.at(start), positions.at(text.len())), (8, 14));
    }
}
