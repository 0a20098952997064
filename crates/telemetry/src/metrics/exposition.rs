//! The two text formats of Prometheus:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> (version 0.0.4) and
//! <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md> (version 1.0.0).
//!
//! They differ in the names of counters in their heads, in exemplars, in how bucket bounds are written, and in
//! the end mark.

use std::fmt::Write;

use trace::TraceId;

/// The format of a scrape, chosen by its `Accept` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text.
    Text,
    /// OpenMetrics, with exemplars.
    OpenMetrics,
}

impl Format {
    /// What a scraper's `Accept` header asks for: OpenMetrics if it is named at all, as Prometheus prefers it.
    pub fn accepted(accept: &str) -> Format {
        if accept.contains("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text }
    }

    /// Value of `content-type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Rendered labels, `a="b",c="d"`.
#[derive(Clone, Default)]
pub(super) struct Labels(String);

impl Labels {
    /// Adds a label unless its value is empty.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                _ => self.0.push(character),
            }
        }
        self.0.push('"');
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Labels {
        self.push(name, value);
        self
    }
}

/// A scrape's answer under construction. Writing to a string cannot fail, so that results are ignored.
pub(super) struct Page {
    format: Format,
    text: String,
}

/// Trace, value and Unix time in seconds of an exemplar.
pub(super) type PageExemplar = (TraceId, f64, f64);

impl Page {
    pub(super) fn new(format: Format) -> Page {
        Page { format, text: String::with_capacity(16 * 1024) }
    }

    /// Help and type. `name` is a counter's name with its `_total`.
    pub(super) fn head(&mut self, name: &str, help: &str, kind: Kind) {
        let (name, kind) = match (self.format, kind) {
            (_, Kind::Gauge) => (name, "gauge"),
            (_, Kind::Histogram) => (name, "histogram"),
            (Format::Text, Kind::Counter) => (name, "counter"),
            // An inherited name without the suffix cannot be a counter in OpenMetrics.
            (Format::OpenMetrics, Kind::Counter) => {
                name.strip_suffix("_total").map_or((name, "unknown"), |family| (family, "counter"))
            }
        };
        _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, name: &str, suffix: &str, labels: &Labels, value: f64) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        if !labels.0.is_empty() {
            _ = write!(self.text, "{{{}}}", labels.0);
        }
        _ = writeln!(self.text, " {value}");
    }

    pub(super) fn bucket(
        &mut self,
        name: &str,
        labels: &Labels,
        bound: f64,
        count: u64,
        exemplar: Option<PageExemplar>,
    ) {
        let separator = if labels.0.is_empty() { "" } else { "," };
        let bound = match self.format {
            _ if bound.is_infinite() => "+Inf".to_owned(),
            Format::Text => bound.to_string(),
            // OpenMetrics wants the point even in whole numbers.
            Format::OpenMetrics => format!("{bound:?}"),
        };
        _ = write!(self.text, "{name}_bucket{{{}{separator}le=\"{bound}\"}} {count}", labels.0);
        if let (Format::OpenMetrics, Some((trace_id, value, unix_seconds))) = (self.format, exemplar) {
            _ = write!(self.text, " # {{trace_id=\"{trace_id}\"}} {value} {unix_seconds:.3}");
        }
        self.text.push('\n');
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}
