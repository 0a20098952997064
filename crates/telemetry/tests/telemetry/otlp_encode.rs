//! Records as OTLP messages, read back with the protocol's generated types.

use crate::common;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span, status};
use prost::Message;
use telemetry::{Limits, Resource, View, otlp};
use trace::content::Capture;

/// What the protocol's generated types read.
fn export_request(
    records: &[Arc<trace::Record>],
    resource: &Resource,
    view: View,
) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(otlp::export_request(records, resource, view)).unwrap()
}

fn spans(record: trace::Record) -> Vec<Span> {
    spans_in(record, View::default())
}

fn spans_in(record: trace::Record, view: View) -> Vec<Span> {
    let resource = Resource::new("router").environment("production");
    let mut request = export_request(&[Arc::new(record)], &resource, view);
    assert_eq!(request.resource_spans.len(), 1);
    let mut of_resource = request.resource_spans.remove(0);
    assert_eq!(of_resource.scope_spans.len(), 1);
    of_resource.scope_spans.remove(0).spans
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found: Vec<_> = span.attributes.iter().filter(|pair| pair.key == key).collect();
    assert!(found.len() <= 1, "{key} occurs {} times", found.len());
    found.first()?.value.clone()?.value
}

#[test]
fn ids_kinds_times_and_flags() {
    let spans = spans(common::forwarded(true));
    let (root, children) = spans.split_first().unwrap();
    assert_eq!(root.name, "semantic_router.request.received");
    assert_eq!(root.kind, span::SpanKind::Server as i32);
    assert_eq!(root.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert_eq!(root.trace_state, "vendor=value");
    // Sampled, random; known to be remote, and remote.
    assert_eq!(root.flags, 0x303);
    assert_eq!(root.start_time_unix_nano, 1_714_564_800_000_000_000);
    assert_eq!(root.end_time_unix_nano - root.start_time_unix_nano, 834_000_000);
    assert_eq!(children.len(), 10);
    for child in children {
        assert_eq!(child.parent_span_id, root.span_id);
        assert_eq!(child.trace_id, root.trace_id);
        assert_eq!(child.flags, 0x103);
        assert_eq!(child.trace_state, "vendor=value");
    }
    let upstream = &children[7];
    assert_eq!(upstream.kind, span::SpanKind::Client as i32);
    assert_eq!(upstream.start_time_unix_nano - root.start_time_unix_nano, 72_303_000);
    assert_eq!(upstream.events[0].name, "semantic_router.first_token");
    assert_eq!(upstream.events[0].time_unix_nano - upstream.start_time_unix_nano, 80_000_000);
}

#[test]
fn a_root_without_a_parent_says_that_none_is_remote() {
    let spans = spans(common::failed());
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[0].flags, 0x103);
}

#[test]
fn attributes_keep_their_types() {
    let spans = spans(common::forwarded(true));
    let upstream = &spans[8];
    assert_eq!(attribute(upstream, "server.port"), Some(Value::IntValue(8000)));
    assert_eq!(attribute(upstream, "gen_ai.request.temperature"), Some(Value::DoubleValue(0.7)));
    assert_eq!(attribute(upstream, "gen_ai.request.stream"), Some(Value::BoolValue(true)));
    assert_eq!(attribute(upstream, "llm.token_count.total"), Some(Value::IntValue(142)));
    let Some(Value::ArrayValue(types)) = attribute(&spans[2], "pii.types") else { panic!("no array") };
    assert_eq!(types.values[0].value, Some(Value::StringValue("credit_card".to_owned())));
    for span in &spans {
        for pair in &span.attributes {
            attribute(span, &pair.key);
        }
    }
}

#[test]
fn faults_become_status_and_exception_and_links_survive() {
    let failed = spans(common::failed());
    for (span, kind) in failed.iter().zip(["upstream_unavailable", "503", "connect"]) {
        let status = span.status.clone().unwrap();
        assert_eq!(status.code, status::StatusCode::Error as i32);
        assert_eq!(attribute(span, "error.type"), Some(Value::StringValue(kind.to_owned())));
        let exception = span.events.iter().find(|event| event.name == "exception").unwrap();
        let pairs: Vec<&str> = exception.attributes.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(pairs, ["exception.type", "exception.message"]);
    }
    let linked = spans(common::forwarded(true));
    assert!(linked[0].status.is_none());
    let link = &linked[4].links[0];
    assert_eq!(
        (link.trace_id.as_slice(), link.span_id.as_slice()),
        ([0xaa; 16].as_slice(), [0xbb; 8].as_slice())
    );
    assert_eq!(link.flags, 0x303);
}

/// The generated types skip fields that they do not know and accept lengths that are not the shortest; writing what they
/// read gives the same bytes only if there is none of that.
#[test]
fn every_field_is_known_and_in_its_place() {
    let records = [common::forwarded(true), common::forwarded(false), common::failed()].map(Arc::new);
    let resource = Resource::new("router").environment("production");
    let small = Limits { attributes: 3, events: 1, links: 0, attribute_bytes: 5 };
    for limits in [Limits::default(), small] {
        let view = View { limits, content: Capture { inputs: true, outputs: true }, ..View::default() };
        let bytes = otlp::export_request(&records, &resource, view);
        let read = ExportTraceServiceRequest::decode(bytes.clone()).unwrap();
        assert!(read.resource_spans[0].scope_spans[0].spans.len() > 20);
        assert!(read.encode_to_vec() == bytes, "{limits:?}");
    }
}

#[test]
fn the_resource_names_the_service_and_no_foreign_sdk() {
    let resource = Resource::new("router").version("v1").instance("i-1").environment("production");
    let request = export_request(&[], &resource, View::default());
    let attributes = &request.resource_spans[0].resource.as_ref().unwrap().attributes;
    let value = |key: &str| {
        let pair = attributes.iter().find(|pair| pair.key == key).unwrap();
        match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => text.clone(),
            other => panic!("{key} is {other:?}"),
        }
    };
    assert_eq!(value("service.name"), "router");
    assert_eq!(value("service.version"), "v1");
    assert_eq!(value("service.instance.id"), "i-1");
    assert_eq!(value("deployment.environment.name"), "production");
    assert_eq!(value("deployment.environment"), "production");
    assert_eq!(value("telemetry.sdk.language"), "rust");
    assert_ne!(value("telemetry.sdk.name"), "opentelemetry");
}

#[test]
fn what_is_over_the_limits_of_a_span_is_left_out_and_counted() {
    let limits = Limits { attributes: 3, events: 1, links: 0, attribute_bytes: 5 };
    let view = View { limits, ..View::default() };
    let whole = spans(common::failed());
    for (span, whole) in spans_in(common::failed(), view).iter().zip(&whole) {
        assert_eq!(span.attributes.len(), 3);
        assert_eq!(span.dropped_attributes_count as usize, whole.attributes.len() - 3);
        assert_eq!(span.dropped_events_count as usize, whole.events.len() - 1);
        assert_eq!(span.events.len(), 1);
        for pair in span.attributes.iter().chain(&span.events[0].attributes) {
            if let Some(Value::StringValue(text)) = pair.value.as_ref().and_then(|value| value.value.as_ref())
            {
                assert!(text.len() <= 5, "{} is {text}", pair.key);
            }
        }
    }
    let linked = &spans_in(common::forwarded(true), view)[4];
    assert_eq!((linked.links.len(), linked.dropped_links_count), (0, 1));
    let unbounded = &whole[0];
    assert_eq!((unbounded.dropped_attributes_count, unbounded.dropped_events_count), (0, 0));
}

#[test]
fn events_that_a_record_could_not_hold_are_counted() {
    let mut record = common::forwarded(true);
    for _ in 0..200 {
        record.push_event(trace::EventKind::ClientDisconnected);
        let upstream = record.stage_mut(trace::Stage::UpstreamRequest).unwrap();
        upstream.push_event(1, trace::EventKind::FirstToken);
    }
    let spans = spans(record);
    assert_eq!((spans[0].events.len(), spans[0].dropped_events_count), (128, 72));
    assert_eq!((spans[8].events.len(), spans[8].dropped_events_count), (128, 73));
}

#[test]
fn an_attribute_of_a_megabyte_is_cut() {
    let mut record = common::forwarded(true);
    let text = "\u{20ac}".repeat(350_000);
    record.request.custom = vec![(Arc::from("constant"), trace::Text::trusted(text.as_str()))];
    record.request.custom.push((Arc::from("from.outside"), trace::Text::from_outside(&text)));
    let root = &spans(record)[0];
    let length = |key: &str| match attribute(root, key) {
        Some(Value::StringValue(text)) => text.len(),
        other => panic!("{key} is {other:?}"),
    };
    assert_eq!(length("constant"), 4095, "at a character");
    assert!(length("from.outside") <= trace::MAX_TEXT_BYTES);
    assert!(length("metadata") <= 4096);
}

#[test]
fn a_wall_clock_that_steps_back_or_stands_before_1970_makes_no_negative_time() {
    let later = std::time::Instant::now() + std::time::Duration::from_secs(3600);
    let before = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(5);
    let mut record = common::forwarded(true);
    record.clock = trace::Clock::started(before, later);
    let index = record.begin(trace::Stage::CacheStore);
    record.span_mut(index).unwrap().push_event(0, trace::EventKind::FirstToken);
    for span in spans(record) {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
        assert!(span.end_time_unix_nano < 3_600_000_000_000, "{} is in the far future", span.name);
    }
}
