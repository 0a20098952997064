//! Records as OTLP messages: a pure mapping
//! (<https://opentelemetry.io/docs/specs/otlp/>, protocol buffers 1.x).

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, SpanFlags, Status, span, status,
};
use trace::propagation::TraceContext;
use trace::semconv::{Attribute, Value};
use trace::{Event, Link, ROOT_SPAN_NAME, Record, Span, SpanId, SpanKind, SpanStatus};

use crate::view::Kept;
use crate::{Resource, View};

/// Name of the instrumentation scope.
pub const SCOPE_NAME: &str = "semantic-router";

/// One export of all spans of these records, under one resource and one scope.
pub fn export_request(records: &[Arc<Record>], resource: &Resource, view: View) -> ExportTraceServiceRequest {
    let count = records.iter().map(|record| record.spans().len() + 1).sum();
    let mut spans = Vec::with_capacity(count);
    for record in records {
        spans.push(root(record, view));
        spans.extend(record.spans().iter().map(|span| child(record, span, view)));
    }
    let scope = InstrumentationScope {
        name: SCOPE_NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let scope_spans = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
    let attributes = resource.attributes().map(|(key, value)| string_pair(key, value.to_owned())).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(OtlpResource { attributes, ..Default::default() }),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        }],
    }
}

fn root(record: &Record, view: View) -> OtlpSpan {
    let attributes = view.root(record);
    let events = view.limits.events(&record.events, record.dropped_events);
    let links = view.limits.links(&record.links);
    OtlpSpan {
        name: ROOT_SPAN_NAME.to_owned(),
        kind: kind(SpanKind::Server),
        parent_span_id: record.parent.as_ref().map_or_else(Vec::new, |parent| span_id(parent.span_id)),
        // The parent, if there is one, came in a header.
        flags: flags(record, if record.parent.is_some() { Parent::Remote } else { Parent::Local }),
        start_time_unix_nano: record.clock.unix_ns(0),
        end_time_unix_nano: record.clock.unix_ns(record.duration_ns),
        attributes: key_values(attributes.kept),
        dropped_attributes_count: attributes.dropped,
        events: otlp_events(record, &events, view),
        dropped_events_count: events.dropped,
        links: links.kept.iter().map(otlp_link).collect(),
        dropped_links_count: links.dropped,
        status: otlp_status(&record.status()),
        ..common(record, record.root_id)
    }
}

fn child(record: &Record, span: &Span, view: View) -> OtlpSpan {
    let attributes = view.span(record, span);
    let events = view.limits.events(&span.events, span.dropped_events);
    let links = view.limits.links(&span.links);
    OtlpSpan {
        name: span.stage.span_name().to_owned(),
        kind: kind(span.stage.kind()),
        parent_span_id: span_id(record.root_id),
        flags: flags(record, Parent::Local),
        start_time_unix_nano: record.clock.unix_ns(span.start_ns),
        end_time_unix_nano: record.clock.unix_ns(span.end_ns.unwrap_or(span.start_ns)),
        attributes: key_values(attributes.kept),
        dropped_attributes_count: attributes.dropped,
        events: otlp_events(record, &events, view),
        dropped_events_count: events.dropped,
        links: links.kept.iter().map(otlp_link).collect(),
        dropped_links_count: links.dropped,
        status: otlp_status(&span.status),
        ..common(record, span.id)
    }
}

fn common(record: &Record, id: SpanId) -> OtlpSpan {
    let state = record.parent.as_ref().and_then(|parent| parent.state.shown());
    OtlpSpan {
        trace_id: record.trace_id.bytes().to_vec(),
        span_id: span_id(id),
        trace_state: state.unwrap_or_default().to_owned(),
        ..Default::default()
    }
}

enum Parent {
    Remote,
    Local,
}

/// The trace flags in the low byte, then whether it is known that the parent is remote, and whether it is.
fn flags(record: &Record, parent: Parent) -> u32 {
    let trace_flags = u32::from(record.sampling.flags(record.parent.as_ref()).byte());
    trace_flags | remote_flags(parent)
}

fn remote_flags(parent: Parent) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    match parent {
        Parent::Remote => known | SpanFlags::ContextIsRemoteMask as u32,
        Parent::Local => known,
    }
}

fn kind(kind: SpanKind) -> i32 {
    let kind = match kind {
        SpanKind::Server => span::SpanKind::Server,
        SpanKind::Client => span::SpanKind::Client,
        SpanKind::Internal => span::SpanKind::Internal,
    };
    kind.into()
}

fn otlp_status(status: &SpanStatus) -> Option<Status> {
    match status {
        // An absent status is an unset one.
        SpanStatus::Unset => None,
        SpanStatus::Error { description, .. } => {
            Some(Status { code: status::StatusCode::Error.into(), message: description.as_str().to_owned() })
        }
    }
}

fn otlp_events(record: &Record, events: &Kept<&[Event]>, view: View) -> Vec<span::Event> {
    let event = |event: &Event| span::Event {
        time_unix_nano: record.clock.unix_ns(event.at_ns),
        name: event.kind.name().to_owned(),
        attributes: key_values(view.event(&event.kind)),
        dropped_attributes_count: 0,
    };
    events.kept.iter().map(event).collect()
}

fn otlp_link(link: &Link) -> span::Link {
    let TraceContext { trace_id, span_id: id, flags, state } = &link.context;
    span::Link {
        trace_id: trace_id.bytes().to_vec(),
        span_id: span_id(*id),
        trace_state: state.shown().unwrap_or_default().to_owned(),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        flags: u32::from(flags.byte()) | remote_flags(Parent::Remote),
    }
}

fn span_id(id: SpanId) -> Vec<u8> {
    id.bytes().to_vec()
}

fn key_values(attributes: Vec<Attribute<'_>>) -> Vec<KeyValue> {
    let pair = |(key, value): Attribute<'_>| KeyValue {
        key: key.into_owned(),
        value: Some(AnyValue { value: Some(any_value(value)) }),
        ..Default::default()
    };
    attributes.into_iter().map(pair).collect()
}

fn any_value(value: Value<'_>) -> any_value::Value {
    match value {
        Value::String(text) => any_value::Value::StringValue(text.into_owned()),
        Value::Bool(value) => any_value::Value::BoolValue(value),
        Value::Int(value) => any_value::Value::IntValue(value),
        Value::Double(value) => any_value::Value::DoubleValue(value),
        Value::Strings(texts) => {
            let values = texts
                .into_iter()
                .map(|text| AnyValue { value: Some(any_value::Value::StringValue(text.into_owned())) })
                .collect();
            any_value::Value::ArrayValue(ArrayValue { values })
        }
    }
}

fn string_pair(key: &str, value: String) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        ..Default::default()
    }
}
