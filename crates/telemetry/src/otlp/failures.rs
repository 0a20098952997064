//! The log lines of an exporter in trouble: the first at once, then at most one in thirty seconds.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use trace::Text;

use crate::Delivery;

const QUIET: Duration = Duration::from_secs(30);

/// Counts failures between log lines.
#[derive(Default)]
pub(super) struct Failures {
    unreported: u64,
    last_line: Option<Instant>,
}

impl Failures {
    /// Notes a failed attempt, and logs it unless a line was logged lately.
    pub(super) fn note(&mut self, what: &Text) {
        self.unreported += 1;
        if self.last_line.is_some_and(|last| last.elapsed() < QUIET) {
            return;
        }
        tracing::warn!(exporter = "otlp", attempts = self.unreported, "Failed to export spans: {what}");
        self.unreported = 0;
        self.last_line = Some(Instant::now());
    }

    /// Reads the collector's answer: it may have rejected some spans, or only warn.
    pub(super) fn accepted(&mut self, answer: ExportTraceServiceResponse) -> Delivery {
        let Some(partial) = answer.partial_success else { return Delivery::Delivered };
        let rejected_spans = u64::try_from(partial.rejected_spans).unwrap_or(0);
        if rejected_spans == 0 && partial.error_message.is_empty() {
            return Delivery::Delivered;
        }
        let said = Text::from_outside(&partial.error_message);
        self.note(&Text::trusted(format!("the collector rejected {rejected_spans} spans: {said}")));
        match rejected_spans {
            0 => Delivery::Delivered,
            _ => Delivery::Partial { rejected_spans },
        }
    }
}
