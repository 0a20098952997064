//! Metrics: folded from each record as it ends, on the request's thread, before any queue, so that they are
//! right under overload and whatever sampling says.
//!
//! Folding is arithmetic and atomic additions; it takes no lock and, once its series exist, no memory. Label
//! values come from the configuration; any other value is `_OTHER`, so that no caller can make new series.

mod axis;
mod exposition;
mod family;
mod legacy;
mod models;
mod requests;
mod series;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use trace::Record;
use trace::finding::Finding;

use crate::worker::LaneGauge;
use axis::Axis;
pub use exposition::Format;
use exposition::{Kind, Labels, Page};
use legacy::{Facts, Legacy};
use models::Models;
use requests::Requests;
use series::Exemplar;

/// Most models and categories with label values of their own; the memory of a series is taken only when it
/// is used.
const MAX_NAMES: usize = 128;

/// Label values that are known when the program starts.
#[derive(Clone, Debug, Default)]
pub struct Names<'a> {
    /// `service.name`.
    pub service: &'a str,
    /// The routes of the doors, as [`trace::RequestFacts::route`] has them.
    pub routes: &'a [&'a str],
    /// Values of `error.type`: codes of the API and names of transport faults. HTTP statuses are known.
    pub error_types: &'a [&'a str],
}

/// Whether the metrics of the router's ancestor are kept too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegacyNames {
    /// They are.
    #[default]
    Kept,
    /// They are not.
    Off,
}

/// All metrics of the process.
pub struct Metrics {
    started: Instant,
    requests: Requests,
    calls: Models,
    legacy: Option<Legacy>,
    models: Arc<Axis>,
    categories: Arc<Axis>,
    lanes: Mutex<Vec<LaneGauge>>,
}

impl Metrics {
    /// Empty metrics; the process's uptime counts from here.
    pub fn new(names: &Names<'_>, legacy: LegacyNames) -> Metrics {
        let (models, categories) = (Axis::open(MAX_NAMES), Axis::open(MAX_NAMES));
        let statuses: Vec<String> = (400..=599_u16).map(|status| status.to_string()).collect();
        let errors = Axis::open(1 + names.error_types.len() + statuses.len());
        // The empty value is that of calls without an error: see `models::NO_ERROR`.
        errors.learn([""]);
        errors.learn(names.error_types.iter().copied());
        errors.learn(statuses.iter().map(String::as_str));
        Metrics {
            started: Instant::now(),
            requests: Requests::new(names.service, names.routes),
            calls: Models::new(&models, &errors),
            legacy: (legacy == LegacyNames::Kept).then(|| Legacy::new(&models, &categories, &errors)),
            models,
            categories,
            lanes: Mutex::default(),
        }
    }

    /// Makes names of the configuration label values; on a reload, new ones join those that are known.
    /// Models are known by their configured names, by the names that backends have for them, and as `auto`.
    pub fn learn<'a>(
        &self,
        models: impl IntoIterator<Item = &'a str>,
        categories: impl IntoIterator<Item = &'a str>,
    ) {
        let beyond =
            self.models.learn(["auto"].into_iter().chain(models)) + self.categories.learn(categories);
        if beyond > 0 {
            tracing::warn!(
                beyond,
                "more than {MAX_NAMES} models or categories: metrics count the rest as {}",
                axis::OTHER
            );
        }
    }

    /// Adds a finished record.
    pub fn fold(&self, record: &Record) {
        let exemplar = Exemplar::of(record);
        let mut facts = Facts::default();
        for span in record.spans() {
            self.requests.fold_span(span, exemplar);
            match &span.finding {
                Finding::Classification(finding) => facts.classification = Some(finding),
                Finding::RoutingDecision(finding) => facts.decision = Some(finding),
                Finding::UpstreamRequest(call) => {
                    self.calls.fold(span, call, exemplar);
                    if let Some(legacy) = &self.legacy {
                        legacy.fold_call(span, call);
                    }
                }
                _ => {}
            }
        }
        self.requests.fold_root(record, exemplar);
        if let Some(legacy) = &self.legacy {
            legacy.fold_request(record, facts);
        }
    }

    /// The answer to a scrape.
    pub fn render(&self, format: Format) -> String {
        let mut page = Page::new(format);
        page.head("process_uptime_seconds", "Time since the process started, in seconds.", Kind::Gauge);
        page.sample("process_uptime_seconds", "", &Labels::default(), self.started.elapsed().as_secs_f64());
        self.requests.write(&mut page);
        self.calls.write(&mut page);
        if let Some(legacy) = &self.legacy {
            legacy.write(&mut page);
        }
        self.write_exporters(&mut page);
        page.finish()
    }

    /// Adds a destination to what a scrape shows.
    pub(crate) fn watch(&self, lane: LaneGauge) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
    }

    fn write_exporters(&self, page: &mut Page) {
        page.head(
            "traces_received_total",
            "Traces that were recorded, by where they came from.",
            Kind::Counter,
        );
        let labels = Labels::default().with("source", "router");
        page.sample("traces_received_total", "", &labels, float(self.requests.received()));
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut each = |name: &str, help: &str, kind: Kind, value: fn(&LaneGauge) -> u64| {
            page.head(name, help, kind);
            for lane in lanes.iter() {
                let labels = Labels::default().with("exporter", &lane.name);
                page.sample(name, "", &labels, float(value(lane)));
            }
        };
        each("traces_exported_total", "Traces that arrived at a destination.", Kind::Counter, |lane| {
            lane.health.delivered()
        });
        each("traces_export_failed_total", "Traces lost after all attempts.", Kind::Counter, |lane| {
            lane.health.failed()
        });
        each("traces_export_dropped_total", "Traces that a full queue refused.", Kind::Counter, |lane| {
            lane.health.dropped()
        });
        each(
            "traces_export_rejected_spans_total",
            "Spans that a destination rejected out of batches that it took.",
            Kind::Counter,
            |lane| lane.health.rejected_spans(),
        );
        each("traces_export_queue_length", "Traces that wait for a destination.", Kind::Gauge, |lane| {
            lane.queue_length() as u64
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats by definition")]
fn float(value: u64) -> f64 {
    value as f64
}
