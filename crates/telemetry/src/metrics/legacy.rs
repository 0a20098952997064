//! The metrics of the router's ancestor in Go, under the names and labels that its dashboards query.

use std::sync::Arc;

use trace::finding::{Classification, RoutingDecision, UpstreamRequest};
use trace::{Record, Span};

use super::axis::Axis;
use super::exposition::Page;
use super::family::Family;
use super::series::{BILLIONTHS, Counter, Histogram, microseconds};

/// The ancestor used the Go client's default bounds.
const LATENCY_BOUNDS: [u64; 11] = microseconds([
    5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
]);

/// What a record's spans say together.
#[derive(Clone, Copy, Default)]
pub(super) struct Facts<'a> {
    pub(super) classification: Option<&'a Classification>,
    pub(super) decision: Option<&'a RoutingDecision>,
}

pub(super) struct Legacy {
    models: Arc<Axis>,
    categories: Arc<Axis>,
    efforts: Arc<Axis>,
    reasons: Arc<Axis>,
    completion_tokens: Family<Counter, 1>,
    classifications: Family<Counter, 1>,
    modifications: Family<Counter, 2>,
    latency: Family<Histogram, 1>,
    reasoning: Family<Counter, 4>,
    errors: Family<Counter, 2>,
}

impl Legacy {
    pub(super) fn new(models: &Arc<Axis>, categories: &Arc<Axis>, reasons: &Arc<Axis>) -> Legacy {
        let efforts = Axis::open(5);
        efforts.learn(["", "minimal", "low", "medium", "high"]);
        let model = || ("model", models.clone());
        let category = || ("category", categories.clone());
        Legacy {
            completion_tokens: Family::new(
                "llm_model_completion_tokens_total",
                "Completion tokens by model.",
                [model()],
                Counter::whole,
            ),
            classifications: Family::new(
                "llm_category_classifications_count",
                "Classifications by category.",
                [category()],
                Counter::whole,
            ),
            modifications: Family::new(
                "llm_model_routing_modifications_total",
                "Requests whose model was changed by routing.",
                [("source_model", models.clone()), ("target_model", models.clone())],
                Counter::whole,
            ),
            latency: Family::new(
                "llm_model_completion_latency_seconds",
                "Duration of completions by model, in seconds.",
                [model()],
                || Histogram::new(&LATENCY_BOUNDS, BILLIONTHS),
            ),
            reasoning: Family::new(
                "llm_reasoning_decisions_total",
                "Decisions to reason or not.",
                [
                    category(),
                    model(),
                    ("enabled", Axis::exact(["false", "true"])),
                    ("effort", efforts.clone()),
                ],
                Counter::whole,
            ),
            errors: Family::new(
                "llm_request_errors_total",
                "Requests that ended in an error or a refusal.",
                [model(), ("reason", reasons.clone())],
                Counter::whole,
            ),
            models: models.clone(),
            categories: categories.clone(),
            efforts,
            reasons: reasons.clone(),
        }
    }

    pub(super) fn fold_call(&self, span: &Span, call: &UpstreamRequest) {
        let model = self.models.position(&call.model);
        if let (Some(usage), Some(series)) = (call.answer.usage, self.completion_tokens.at([model])) {
            series.add(usage.completion);
        }
        if let Some(series) = self.latency.at([model]) {
            series.observe(span.duration_ns(), None);
        }
    }

    pub(super) fn fold_request(&self, record: &Record, facts: Facts<'_>) {
        let category = facts.classification.map_or(0, |finding| self.categories.position(&finding.category));
        if facts.classification.is_some() {
            count(self.classifications.at([category]));
        }
        let asked = record.request.original_model.as_ref().map_or("", |model| model.as_str());
        let chosen = facts.decision.and_then(|decision| decision.selected_model.as_deref());
        if let (Some(decision), Some(chosen)) = (facts.decision, chosen) {
            self.fold_decision(decision, category, asked, chosen);
        }
        let reason = record.fault.as_ref().map(|fault| fault.kind.as_ref()).or(record.refusal);
        if let Some(reason) = reason {
            let model = self.models.position(chosen.unwrap_or(asked));
            count(self.errors.at([model, self.reasons.position(reason)]));
        }
    }

    fn fold_decision(&self, decision: &RoutingDecision, category: usize, asked: &str, chosen: &str) {
        let model = self.models.position(chosen);
        if asked != chosen {
            count(self.modifications.at([self.models.position(asked), model]));
        }
        let enabled = usize::from(decision.reasoning.enabled);
        let effort = self.efforts.position(decision.reasoning.effort.as_deref().unwrap_or(""));
        count(self.reasoning.at([category, model, enabled, effort]));
    }

    pub(super) fn write(&self, page: &mut Page) {
        self.completion_tokens.write(page);
        self.classifications.write(page);
        self.modifications.write(page);
        self.latency.write(page);
        self.reasoning.write(page);
        self.errors.write(page);
    }
}

fn count(series: Option<&Counter>) {
    if let Some(series) = series {
        series.add(1);
    }
}
