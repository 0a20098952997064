//! Spans as JSON objects: `Name`, `SpanContext`, `Attributes` and `Duration` in nanoseconds first, in this
//! order and with bare values, then what else a span has.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use trace::propagation::TraceContext;
use trace::semconv::{Attribute, Value};
use trace::{Event, Link, ROOT_SPAN_NAME, Record, Span, SpanId, SpanKind, SpanStatus, TraceId};

use crate::time::rfc3339;
use crate::{Resource, View};

/// How an object is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line.
    Line,
    /// Indented, for people.
    Pretty,
}

/// The spans of a record, the root first, each as one object followed by a line end.
pub fn json(record: &Record, resource: &Resource, view: View, layout: Layout) -> String {
    let mut text = String::new();
    let pair = |(key, value)| (Cow::Borrowed(key), Value::String(Cow::Borrowed(value)));
    let resource = Attributes(resource.attributes().map(pair).collect());
    for span in spans(record, &resource, view) {
        let object = match layout {
            Layout::Line => serde_json::to_string(&span),
            Layout::Pretty => serde_json::to_string_pretty(&span),
        };
        // Strings, numbers and lists in memory always serialise.
        text.push_str(&object.unwrap_or_default());
        text.push('\n');
    }
    text
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonSpan<'a> {
    name: &'static str,
    span_context: Context,
    attributes: Attributes<'a>,
    duration: u64,
    parent: Option<Context>,
    kind: &'static str,
    start_time: String,
    status: Status<'a>,
    events: Vec<JsonEvent<'a>>,
    links: Vec<JsonLink>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes: u32,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_events: u32,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_links: u32,
    resource: &'a Attributes<'a>,
}

#[derive(Serialize)]
struct Context {
    #[serde(rename = "TraceID")]
    trace_id: String,
    #[serde(rename = "SpanID")]
    span_id: String,
    #[serde(rename = "TraceState", skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    #[serde(rename = "Remote", skip_serializing_if = "Option::is_none")]
    remote: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Status<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonEvent<'a> {
    name: &'static str,
    time: String,
    attributes: Attributes<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JsonLink {
    span_context: Context,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A list of `{"Key", "Value"}`.
struct Attributes<'a>(Vec<Attribute<'a>>);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            list.serialize_element(&Pair(key, value))?;
        }
        list.end()
    }
}

struct Pair<'a>(&'a str, &'a Value<'a>);

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_map(Some(2))?;
        pair.serialize_entry("Key", self.0)?;
        match self.1 {
            Value::String(text) => pair.serialize_entry("Value", text)?,
            Value::Bool(value) => pair.serialize_entry("Value", value)?,
            Value::Int(value) => pair.serialize_entry("Value", value)?,
            Value::Double(value) => pair.serialize_entry("Value", value)?,
            Value::Strings(texts) => pair.serialize_entry("Value", texts)?,
        }
        pair.end()
    }
}

fn spans<'a>(
    record: &'a Record,
    resource: &'a Attributes<'a>,
    view: View,
) -> impl Iterator<Item = JsonSpan<'a>> {
    std::iter::once(root(record, resource, view))
        .chain(record.spans().iter().map(move |span| child(record, span, resource, view)))
}

fn root<'a>(record: &'a Record, resource: &'a Attributes<'a>, view: View) -> JsonSpan<'a> {
    let attributes = view.root(record);
    let shown_events = view.limits.events(&record.events, record.dropped_events);
    let shown_links = view.limits.links(&record.links);
    JsonSpan {
        name: ROOT_SPAN_NAME,
        span_context: own_context(record, record.root_id),
        attributes: Attributes(attributes.kept),
        duration: record.duration_ns,
        parent: record.parent.as_ref().map(remote_context),
        kind: SpanKind::Server.as_str(),
        start_time: rfc3339(record.clock.unix_ns(0)),
        status: root_status(record),
        events: events(record, shown_events.kept, view),
        links: links(shown_links.kept),
        dropped_attributes: attributes.dropped,
        dropped_events: shown_events.dropped,
        dropped_links: shown_links.dropped,
        resource,
    }
}

fn child<'a>(record: &'a Record, span: &'a Span, resource: &'a Attributes<'a>, view: View) -> JsonSpan<'a> {
    let attributes = view.span(record, span);
    let shown_events = view.limits.events(&span.events, span.dropped_events);
    let shown_links = view.limits.links(&span.links);
    JsonSpan {
        name: span.stage.span_name(),
        span_context: own_context(record, span.id),
        attributes: Attributes(attributes.kept),
        duration: span.duration_ns(),
        parent: Some(own_context(record, record.root_id)),
        kind: span.stage.kind().as_str(),
        start_time: rfc3339(record.clock.unix_ns(span.start_ns)),
        status: status(&span.status),
        events: events(record, shown_events.kept, view),
        links: links(shown_links.kept),
        dropped_attributes: attributes.dropped,
        dropped_events: shown_events.dropped,
        dropped_links: shown_links.dropped,
        resource,
    }
}

fn own_context(record: &Record, span_id: SpanId) -> Context {
    context(record.trace_id, span_id)
}

fn context(trace_id: TraceId, span_id: SpanId) -> Context {
    Context { trace_id: trace_id.to_string(), span_id: span_id.to_string(), trace_state: None, remote: None }
}

fn remote_context(from: &TraceContext) -> Context {
    Context {
        trace_state: from.state.shown().map(str::to_owned),
        remote: Some(true),
        ..context(from.trace_id, from.span_id)
    }
}

fn root_status(record: &Record) -> Status<'_> {
    match &record.fault {
        Some(fault) => Status { code: "Error", description: Some(fault.description.as_str()) },
        None => Status { code: "Unset", description: None },
    }
}

fn status(status: &SpanStatus) -> Status<'_> {
    match status {
        SpanStatus::Unset => Status { code: "Unset", description: None },
        SpanStatus::Error { description, .. } => {
            Status { code: "Error", description: Some(description.as_str()) }
        }
    }
}

fn events<'a>(record: &Record, events: &'a [Event], view: View) -> Vec<JsonEvent<'a>> {
    let event = |event: &'a Event| JsonEvent {
        name: event.kind.name(),
        time: rfc3339(record.clock.unix_ns(event.at_ns)),
        attributes: Attributes(view.event(&event.kind)),
    };
    events.iter().map(event).collect()
}

fn links(links: &[Link]) -> Vec<JsonLink> {
    links.iter().map(|link| JsonLink { span_context: remote_context(&link.context) }).collect()
}
