//! Records as the bytes of an OTLP export
//! (<https://opentelemetry.io/docs/specs/otlp/>; fields as in opentelemetry-proto 1.x, `trace/v1/trace.proto`).
//!
//! Written straight from the record rather than by way of message structures: those would hold each key and value of some
//! hundred attributes in an allocation of its own, which cost four times as much as all the rest
//! (`cargo bench -p telemetry --bench record -- export`). The generated types of the protocol read it back in the tests.

use std::sync::Arc;

use bytes::Bytes;
use trace::propagation::TraceContext;
use trace::semconv::{Attribute, Value};
use trace::{Event, Link, ROOT_SPAN_NAME, Record, Span, SpanId, SpanKind, SpanStatus};

use super::protobuf::{Message, bytes_size, message_size, varint_size};
use crate::view::Kept;
use crate::{Resource, View};

/// Name of the instrumentation scope.
pub const SCOPE_NAME: &str = "semantic-router";

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`: it is known whether the parent is remote.
const HAS_IS_REMOTE: u32 = 0x100;

/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`: it is.
const IS_REMOTE: u32 = 0x200;

/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

/// An `ExportTraceServiceRequest` with all spans of these records, under one resource and one scope.
pub fn export_request(records: &[Arc<Record>], resource: &Resource, view: View) -> Bytes {
    let mut attributes = Message::default();
    for (key, value) in resource.attributes() {
        attribute(&mut attributes, 1, key, &Value::String(value.into()));
    }
    let mut scope = Message::default();
    scope.bytes(1, SCOPE_NAME.as_bytes());
    scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());

    // Messages stand behind their length, so that the inner ones are written first.
    let mut spans = Message::default();
    let mut span = Message::default();
    for record in records {
        root(&mut span, record, view);
        spans.message(2, &mut span);
        for each in record.spans() {
            child(&mut span, record, each, view);
            spans.message(2, &mut span);
        }
    }
    let scope_spans = message_size(1, scope.len()) + spans.len();
    let resource_spans = message_size(1, attributes.len()) + message_size(2, scope_spans);

    let mut request = Message::with_capacity(message_size(1, resource_spans));
    request.begin(1, resource_spans);
    request.message(1, &mut attributes);
    request.begin(2, scope_spans);
    request.message(1, &mut scope);
    request.append(&spans);
    request.into_bytes()
}

fn root(out: &mut Message, record: &Record, view: View) {
    context(out, record, record.root_id);
    if let Some(parent) = &record.parent {
        out.bytes(4, &parent.span_id.bytes());
    }
    out.bytes(5, ROOT_SPAN_NAME.as_bytes());
    out.varint(6, kind(SpanKind::Server));
    let attributes = view.root(record);
    let events = view.limits.events(&record.events, record.dropped_events);
    let links = view.limits.links(&record.links);
    times(out, record, 0, record.duration_ns);
    content(out, record, view, &attributes, &events, &links);
    status(out, &record.status());
    // The parent, if there is one, came in a header.
    out.fixed32(16, flags(record) | if record.parent.is_some() { IS_REMOTE } else { 0 });
}

fn child(out: &mut Message, record: &Record, span: &Span, view: View) {
    context(out, record, span.id);
    out.bytes(4, &record.root_id.bytes());
    out.bytes(5, span.stage.span_name().as_bytes());
    out.varint(6, kind(span.stage.kind()));
    let attributes = view.span(record, span);
    let events = view.limits.events(&span.events, span.dropped_events);
    let links = view.limits.links(&span.links);
    times(out, record, span.start_ns, span.end_ns.unwrap_or(span.start_ns));
    content(out, record, view, &attributes, &events, &links);
    status(out, &span.status);
    out.fixed32(16, flags(record));
}

fn context(out: &mut Message, record: &Record, id: SpanId) {
    out.bytes(1, &record.trace_id.bytes());
    out.bytes(2, &id.bytes());
    if let Some(state) = record.parent.as_ref().and_then(|parent| parent.state.shown()) {
        out.bytes(3, state.as_bytes());
    }
}

fn times(out: &mut Message, record: &Record, start_ns: u64, end_ns: u64) {
    out.fixed64(7, record.clock.unix_ns(start_ns));
    out.fixed64(8, record.clock.unix_ns(end_ns));
}

fn content(
    out: &mut Message,
    record: &Record,
    view: View,
    attributes: &Kept<Vec<Attribute<'_>>>,
    events: &Kept<&[Event]>,
    links: &Kept<&[Link]>,
) {
    for (key, value) in &attributes.kept {
        attribute(out, 9, key, value);
    }
    out.count(10, attributes.dropped);
    for event in events.kept {
        let mut message = Message::default();
        message.fixed64(1, record.clock.unix_ns(event.at_ns));
        message.bytes(2, event.kind.name().as_bytes());
        for (key, value) in view.event(&event.kind) {
            attribute(&mut message, 3, &key, &value);
        }
        out.message(11, &mut message);
    }
    out.count(12, events.dropped);
    for Link { context } in links.kept {
        let TraceContext { trace_id, span_id, flags, state, .. } = context;
        let mut message = Message::default();
        message.bytes(1, &trace_id.bytes());
        message.bytes(2, &span_id.bytes());
        if let Some(state) = state.shown() {
            message.bytes(3, state.as_bytes());
        }
        message.fixed32(6, u32::from(flags.byte()) | HAS_IS_REMOTE | IS_REMOTE);
        out.message(13, &mut message);
    }
    out.count(14, links.dropped);
}

/// The trace flags in the low byte, and that it is known whether the parent is remote.
fn flags(record: &Record) -> u32 {
    u32::from(record.sampling.flags(record.parent.as_ref()).byte()) | HAS_IS_REMOTE
}

/// `Span.SpanKind`.
fn kind(kind: SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    }
}

fn status(out: &mut Message, status: &SpanStatus) {
    // An absent status is an unset one.
    if let SpanStatus::Error { description, .. } = status {
        let description = description.as_str().as_bytes();
        let described = if description.is_empty() { 0 } else { bytes_size(2, description.len()) };
        out.begin(15, described + 2);
        if !description.is_empty() {
            out.bytes(2, description);
        }
        out.varint(3, ERROR);
    }
}

/// A `KeyValue` as field `number`.
fn attribute(out: &mut Message, number: u32, key: &str, value: &Value<'_>) {
    let any_value = any_value_size(value);
    out.begin(number, bytes_size(1, key.len()) + message_size(2, any_value));
    out.bytes(1, key.as_bytes());
    out.begin(2, any_value);
    match value {
        Value::String(text) => out.bytes(1, text.as_bytes()),
        Value::Bool(value) => out.varint(2, u64::from(*value)),
        Value::Int(value) => out.varint(3, value.cast_unsigned()),
        Value::Double(value) => out.fixed64(4, value.to_bits()),
        Value::Strings(texts) => {
            out.begin(5, array_size(texts));
            for text in texts {
                out.begin(1, bytes_size(1, text.len()));
                out.bytes(1, text.as_bytes());
            }
        }
    }
}

/// Bytes of an `AnyValue`.
fn any_value_size(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) => bytes_size(1, text.len()),
        Value::Bool(_) => 2,
        Value::Int(value) => 1 + varint_size(value.cast_unsigned()),
        Value::Double(_) => 9,
        Value::Strings(texts) => message_size(5, array_size(texts)),
    }
}

/// Bytes of an `ArrayValue` of strings.
fn array_size(texts: &[std::borrow::Cow<'_, str>]) -> usize {
    texts.iter().map(|text| message_size(1, bytes_size(1, text.len()))).sum()
}
