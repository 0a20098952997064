//! Metrics of calls to models: OpenTelemetry's GenAI conventions
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>) and what the calls cost.

use std::sync::Arc;

use trace::finding::{Cost, UpstreamRequest};
use trace::{Span, SpanStatus};

use super::axis::Axis;
use super::exposition::Page;
use super::family::Family;
use super::series::{BILLIONTHS, Counter, Exemplar, Histogram, microseconds};

/// The convention's bounds of every client duration.
const DURATION_BOUNDS: [u64; 14] = microseconds([
    10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_560_000, 5_120_000, 10_240_000,
    20_480_000, 40_960_000, 81_920_000,
]);

/// The convention's bounds of token counts: powers of four.
const TOKEN_BOUNDS: [u64; 14] =
    [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

const OPERATIONS: [&str; 3] = ["chat", "text_completion", "embeddings"];

pub(super) struct Models {
    models: Arc<Axis>,
    operations: Arc<Axis>,
    error_types: Arc<Axis>,
    tokens: Family<Histogram, 4>,
    duration: Family<Histogram, 4>,
    first_chunk: Family<Histogram, 3>,
    output_chunk: Family<Histogram, 3>,
    cost: Family<Counter, 1>,
}

impl Models {
    pub(super) fn new(models: &Arc<Axis>, error_types: &Arc<Axis>) -> Models {
        let operations = Axis::open(OPERATIONS.len());
        operations.learn(OPERATIONS);
        // The flavour of the wire format, as on the span.
        let provider = Axis::exact(["openai"]);
        let operation = ("gen_ai_operation_name", operations.clone());
        let model = ("gen_ai_request_model", models.clone());
        let provider = ("gen_ai_provider_name", provider);
        let call = || [model.clone(), operation.clone(), provider.clone()];
        let [of_model, of_operation, of_provider] = call();
        let token_type = ("gen_ai_token_type", Axis::exact(["input", "output"]));
        let error_type = ("error_type", error_types.clone());
        let seconds = || Histogram::new(&DURATION_BOUNDS, BILLIONTHS);
        Models {
            tokens: Family::new(
                "gen_ai_client_token_usage",
                "Tokens of one call, by kind.",
                [of_model.clone(), of_operation.clone(), of_provider.clone(), token_type],
                || Histogram::new(&TOKEN_BOUNDS, 1.0),
            ),
            duration: Family::new(
                "gen_ai_client_operation_duration_seconds",
                "Duration of one attempt at a backend, in seconds.",
                [of_model, of_operation, of_provider, error_type],
                seconds,
            ),
            first_chunk: Family::new(
                "gen_ai_client_operation_time_to_first_chunk_seconds",
                "Time from the request to the first chunk of a streamed answer, in seconds.",
                call(),
                seconds,
            ),
            output_chunk: Family::new(
                "gen_ai_client_operation_time_per_output_chunk_seconds",
                "Time from chunk to chunk of a streamed answer, averaged over the answer, in seconds.",
                call(),
                seconds,
            ),
            cost: Family::new(
                "semantic_router_cost_usd_total",
                "Cost of answers by the configured prices, in US dollars.",
                [("model", models.clone())],
                Counter::billionths,
            ),
            models: models.clone(),
            operations,
            error_types: error_types.clone(),
        }
    }

    pub(super) fn fold(&self, span: &Span, call: &UpstreamRequest, exemplar: Option<Exemplar>) {
        let model = self.models.position(&call.model);
        let operation = self.operations.position(call.operation);
        let error = match &span.status {
            SpanStatus::Unset => NO_ERROR,
            SpanStatus::Error { kind, .. } => self.error_types.position(kind),
        };
        if let Some(series) = self.duration.at([model, operation, 0, error]) {
            series.observe(span.duration_ns(), exemplar);
        }
        if let Some(usage) = call.answer.usage {
            for (kind, tokens) in [usage.prompt, usage.completion].into_iter().enumerate() {
                if let Some(series) = self.tokens.at([model, operation, 0, kind]) {
                    series.observe(tokens, exemplar);
                }
            }
        }
        if call.parameters.stream {
            self.fold_stream(span, call, [model, operation, 0], exemplar);
        }
        if let (Some(cost), Some(series)) = (call.cost, self.cost.at([model])) {
            series.add(billionths(cost));
        }
    }

    fn fold_stream(
        &self,
        span: &Span,
        call: &UpstreamRequest,
        positions: [usize; 3],
        exemplar: Option<Exemplar>,
    ) {
        let answer = &call.answer;
        let Some(first) = answer.first_token_ns else { return };
        if let Some(series) = self.first_chunk.at(positions) {
            series.observe(first.saturating_sub(span.start_ns), exemplar);
        }
        let later_chunks = answer.output_chunks.saturating_sub(1);
        let Some(last) = answer.last_token_ns.filter(|_| later_chunks > 0) else { return };
        if let Some(series) = self.output_chunk.at(positions) {
            series.observe_many(last.saturating_sub(first) / later_chunks, later_chunks, exemplar);
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        self.tokens.write(page);
        self.duration.write(page);
        self.first_chunk.write(page);
        self.output_chunk.write(page);
        self.cost.write(page);
    }
}

/// Position of the empty `error_type`, which leaves the label out.
pub(super) const NO_ERROR: usize = 1;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates: a negative cost counts nothing"
)]
fn billionths(cost: Cost) -> u64 {
    (cost.total() * BILLIONTHS).round() as u64
}
