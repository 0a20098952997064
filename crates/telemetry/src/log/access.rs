//! One line per finished request, rendered from its record off the request's path.

use std::sync::Arc;

use trace::finding::Finding;
use trace::{Record, Span};

use crate::stdout::model;
use crate::{Delivery, Destination};

/// Logs each record at info. `/health` and `/ready` are left to the metrics: probes would drown the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessLog;

impl Destination for AccessLog {
    async fn deliver(&mut self, batch: &[Arc<Record>]) -> Delivery {
        for record in batch {
            if !matches!(record.request.route, "/health" | "/ready") {
                line(record);
            }
        }
        Delivery::Delivered
    }
}

fn line(record: &Record) {
    let request = &record.request;
    let decision = record.spans().iter().find_map(|span: &Span| match &span.finding {
        Finding::RoutingDecision(decision) => Some(&*decision.decision),
        _ => None,
    });
    let decision = decision.or(record.refused_by.as_deref());
    let error = record.fault.as_ref().map(|fault| fault.kind.as_ref()).or(record.refusal);
    tracing::info!(
        trace_id = %record.trace_id,
        span_id = %record.root_id,
        request_id = %request.id,
        method = %request.method,
        route = request.route,
        status = record.http_status.map(u64::from),
        model = model(record),
        decision,
        error,
        duration_ms = milliseconds(record.duration_ns),
        router_ms = milliseconds(record.router_ns()),
        "request"
    );
}

/// To the microsecond: more digits only make lines longer.
fn milliseconds(ns: u64) -> f64 {
    (trace::semconv::milliseconds(ns) * 1e3).round() / 1e3
}
