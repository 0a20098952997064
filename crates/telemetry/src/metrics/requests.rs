//! Span metrics under the names of the collector's `spanmetrics` connector, and the HTTP metrics.

use trace::{ROOT_SPAN_NAME, Record, Span, SpanKind, SpanStatus, Stage};

use super::axis::Axis;
use super::exposition::{Kind, Page};
use super::family::{Family, Series};
use super::series::{BILLIONTHS, Exemplar, Histogram, MILLIONTHS, microseconds};

/// The connector's default bounds from 2 ms on, and finer ones below, where most of our stages are.
const SPAN_BOUNDS: [u64; 21] = microseconds([
    10, 50, 100, 500, 1000, 2000, 4000, 6000, 8000, 10_000, 50_000, 100_000, 200_000, 400_000, 800_000,
    1_000_000, 1_400_000, 2_000_000, 5_000_000, 10_000_000, 15_000_000,
]);

/// The bounds of OpenTelemetry's HTTP conventions, extended to the length of long answers.
const HTTP_BOUNDS: [u64; 18] = microseconds([
    1000,
    2500,
    5000,
    10_000,
    25_000,
    50_000,
    75_000,
    100_000,
    250_000,
    500_000,
    750_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
]);

const METHODS: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];

/// Statuses with a label value of their own; ascending.
const STATUSES: [u16; 36] = [
    200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411,
    413, 414, 415, 417, 422, 426, 429, 431, 499, 500, 501, 502, 503, 504, 529,
];

/// Position of requests that got no status, since their client left before.
const NO_STATUS: usize = 1;

/// Durations of spans and of requests. The counters of both are the counts of their histograms.
pub(super) struct Requests {
    service_name: String,
    spans: Family<Histogram, 3>,
    methods: std::sync::Arc<Axis>,
    routes: std::sync::Arc<Axis>,
    http: Family<Histogram, 3>,
}

impl Requests {
    pub(super) fn new(service_name: &str, routes: &[&str]) -> Requests {
        let names = Stage::ALL.iter().map(|stage| stage.span_name()).chain([ROOT_SPAN_NAME]);
        let kinds = ["SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"];
        let dimensions = [
            ("span_name", Axis::exact(names)),
            ("span_kind", Axis::exact(kinds)),
            ("status_code", Axis::exact(["STATUS_CODE_UNSET", "STATUS_CODE_ERROR"])),
        ];
        let spans = Family::new(
            "traces_span_metrics_duration_milliseconds",
            "Duration of spans, in milliseconds.",
            dimensions,
            || Histogram::new(&SPAN_BOUNDS, MILLIONTHS),
        );
        let methods = Axis::open(METHODS.len());
        methods.learn(METHODS);
        let route_axis = Axis::open(routes.len());
        route_axis.learn(routes.iter().copied());
        let statuses = Axis::open(STATUSES.len() + 1);
        statuses.learn(["none"]);
        statuses.learn(STATUSES.map(|status| status.to_string()).iter().map(String::as_str));
        let http = Family::new(
            "http_request_duration_seconds",
            "Duration of requests to the last byte of the answer, in seconds.",
            [("method", methods.clone()), ("route", route_axis.clone()), ("status", statuses)],
            || Histogram::new(&HTTP_BOUNDS, BILLIONTHS),
        );
        Requests { service_name: service_name.to_owned(), spans, methods, routes: route_axis, http }
    }

    pub(super) fn fold_root(&self, record: &Record, exemplar: Option<Exemplar>) {
        let failed = usize::from(record.fault.is_some());
        let server = kind_position(SpanKind::Server);
        if let Some(series) = self.spans.at([Stage::ALL.len(), server, failed]) {
            series.observe(record.duration_ns, exemplar);
        }
        let method = self.methods.position(&record.request.method);
        let route = self.routes.position(record.request.route);
        if let Some(series) = self.http.at([method, route, status_position(record.http_status)]) {
            series.observe(record.duration_ns, exemplar);
        }
    }

    pub(super) fn fold_span(&self, span: &Span, exemplar: Option<Exemplar>) {
        let failed = usize::from(span.status != SpanStatus::Unset);
        let positions = [span.stage as usize, kind_position(span.stage.kind()), failed];
        if let Some(series) = self.spans.at(positions) {
            series.observe(span.duration_ns(), exemplar);
        }
    }

    /// Records folded so far: each has one root.
    pub(super) fn received(&self) -> u64 {
        let roots = self.spans.series().filter(|([name, ..], _)| *name == Stage::ALL.len());
        roots.map(|(_, series)| series.count()).sum()
    }

    pub(super) fn write(&self, page: &mut Page) {
        page.head("traces_span_metrics_calls_total", "Spans that ended.", Kind::Counter);
        for (positions, series) in self.spans.series() {
            let labels = self.spans.labels(positions).with("service_name", &self.service_name);
            page.sample("traces_span_metrics_calls_total", "", &labels, count(series));
        }
        let name = "traces_span_metrics_duration_milliseconds";
        page.head(name, "Duration of spans, in milliseconds.", Kind::Histogram);
        for (positions, series) in self.spans.series() {
            let labels = self.spans.labels(positions).with("service_name", &self.service_name);
            series.write(name, &labels, page);
        }
        page.head("http_requests_total", "Requests that ended.", Kind::Counter);
        for (positions, series) in self.http.series() {
            page.sample("http_requests_total", "", &self.http.labels(positions), count(series));
        }
        self.http.write(page);
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats by definition")]
fn count(series: &Histogram) -> f64 {
    series.count() as f64
}

fn kind_position(kind: SpanKind) -> usize {
    match kind {
        SpanKind::Internal => 0,
        SpanKind::Server => 1,
        SpanKind::Client => 2,
    }
}

fn status_position(status: Option<u16>) -> usize {
    let Some(status) = status else { return NO_STATUS };
    STATUSES.binary_search(&status).map_or(0, |position| position + NO_STATUS + 1)
}
