//! Semantic conventions as pure mappings: a record and a vocabulary in, attributes out.
//!
//! Three vocabularies describe the same record: the router's own names, OpenInference
//! (<https://arize-ai.github.io/openinference/spec/semantic_conventions.html>) and OpenTelemetry's GenAI
//! conventions, v1.41 (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>). Destinations choose among them.

mod content;
mod genai;
mod openinference;
mod router;

use std::borrow::Cow;

pub use content::content_attributes;

use crate::{EventKind, Record, Span};

/// An attribute's value, in the types that OTLP has.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A string.
    String(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// An array of strings.
    Strings(Vec<Cow<'a, str>>),
}

/// A key and a value.
pub type Attribute<'a> = (Cow<'a, str>, Value<'a>);

/// Which vocabularies a destination wants. The router's own is always written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabularies {
    /// OpenInference.
    pub openinference: bool,
    /// OpenTelemetry GenAI.
    pub genai: bool,
}

impl Default for Vocabularies {
    fn default() -> Self {
        Vocabularies { openinference: true, genai: true }
    }
}

/// Attributes of the root span.
pub fn root_attributes(record: &Record, vocabularies: Vocabularies) -> Vec<Attribute<'_>> {
    let mut attributes = Attributes::default();
    router::root(record, &mut attributes);
    if vocabularies.openinference {
        openinference::root(record, &mut attributes);
    }
    attributes.0
}

/// Attributes of a child span of a record.
pub fn span_attributes<'a>(
    record: &'a Record,
    span: &'a Span,
    vocabularies: Vocabularies,
) -> Vec<Attribute<'a>> {
    let mut attributes = Attributes::default();
    router::span(span, &mut attributes);
    if vocabularies.openinference {
        openinference::span(span, &mut attributes);
    }
    if vocabularies.genai {
        genai::span(record, span, &mut attributes);
    }
    attributes.0
}

/// Attributes of an event: `exception.type` and `exception.message` as OpenTelemetry names them, and the
/// reason of a retry.
pub fn event_attributes(kind: &EventKind) -> Vec<Attribute<'_>> {
    let mut attributes = Attributes::default();
    match kind {
        EventKind::FirstToken | EventKind::ClientDisconnected | EventKind::CutShort => {}
        EventKind::UpstreamRetry { reason } => attributes.string("upstream.retry.reason", reason.as_ref()),
        EventKind::Exception { kind, message } => {
            attributes.string("exception.type", kind.as_ref());
            attributes.string("exception.message", message.as_str());
        }
    }
    attributes.0
}

/// Milliseconds as the contract writes them: doubles.
pub fn milliseconds(ns: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a double holds 104 days of nanoseconds exactly")]
    let ns = ns as f64;
    ns / 1e6
}

/// Collects attributes; absent values leave no attribute.
#[derive(Default)]
struct Attributes<'a>(Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    fn string(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        self.put(key, Value::String(value.into()));
    }

    fn maybe_string(&mut self, key: &'static str, value: Option<impl Into<Cow<'a, str>>>) {
        if let Some(value) = value {
            self.string(key, value);
        }
    }

    fn bool(&mut self, key: &'static str, value: bool) {
        self.put(key, Value::Bool(value));
    }

    fn int(&mut self, key: &'static str, value: u64) {
        self.put(key, Value::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn maybe_int(&mut self, key: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }

    fn maybe_signed(&mut self, key: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.put(key, Value::Int(value));
        }
    }

    fn double(&mut self, key: &'static str, value: f64) {
        self.put(key, Value::Double(value));
    }

    fn maybe_double(&mut self, key: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.double(key, value);
        }
    }

    /// Confidences are single precision; a double made of one shows digits that mean nothing.
    fn confidence(&mut self, key: &'static str, value: f32) {
        self.double(key, (f64::from(value) * 1e4).round() / 1e4);
    }

    fn strings(&mut self, key: &'static str, values: impl IntoIterator<Item = impl Into<Cow<'a, str>>>) {
        self.put(key, Value::Strings(values.into_iter().map(Into::into).collect()));
    }

    fn custom(&mut self, key: &'a str, value: &'a str) {
        self.0.push((Cow::Borrowed(key), Value::String(Cow::Borrowed(value))));
    }

    fn put(&mut self, key: &'static str, value: Value<'a>) {
        self.0.push((Cow::Borrowed(key), value));
    }
}
