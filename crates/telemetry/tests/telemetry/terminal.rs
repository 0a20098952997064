//! What a record looks like at the terminal.

use crate::common;

use telemetry::stdout::{Colour, Layout, Style, json, tree};
use telemetry::{Limits, Resource, View};
use trace::semconv::Vocabularies;

const ROUTER_ONLY: Vocabularies = Vocabularies { openinference: false, genai: false };

fn resource() -> Resource {
    Resource::new("vllm-semantic-router").version("v0.1.0").environment("production")
}

#[test]
fn a_forwarded_request_as_a_tree() {
    insta::assert_snapshot!(tree(&common::forwarded(true), Style::PLAIN));
}

#[test]
fn a_failed_request_as_a_tree() {
    insta::assert_snapshot!(tree(&common::failed(), Style::PLAIN));
}

#[test]
fn the_snapshot_style_hides_what_varies() {
    let mut first = common::forwarded(true);
    let mut second = common::forwarded(true);
    first.duration_ns += 5_000_000;
    second.trace_id = trace::TraceId::random();
    for span in 0..second.spans().len() {
        second.span_at_mut(span).unwrap().id = trace::SpanId::random();
        second.span_at_mut(span).unwrap().start_ns += 17;
    }
    assert_eq!(tree(&first, Style::SNAPSHOT), tree(&second, Style::SNAPSHOT));
    insta::assert_snapshot!(tree(&first, Style::SNAPSHOT));
}

#[test]
fn colours_only_add_escapes() {
    let record = common::forwarded(true);
    let coloured = tree(&record, Style { colour: Colour::Always, ..Style::PLAIN });
    assert!(coloured.contains("\u{1b}[1m"));
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        bare.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    bare.push_str(rest);
    assert_eq!(bare, tree(&record, Style::PLAIN));
}

#[test]
fn json_has_one_object_per_line_with_the_documented_fields_first() {
    let text = json(&common::forwarded(true), &resource(), View::default(), Layout::Line);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 11);
    let classification: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(classification["Name"], "semantic_router.classification");
    assert_eq!(classification["Duration"], 45_000_000);
    let order = ["\"Name\"", "\"SpanContext\"", "\"Attributes\"", "\"Duration\"", "\"Parent\""];
    let places: Vec<usize> = order.iter().map(|name| lines[1].find(name).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?} in {}", lines[1]);
}

#[test]
fn json_of_a_failed_request() {
    insta::assert_snapshot!(json(&common::failed(), &resource(), ROUTER_ONLY.into(), Layout::Pretty));
}

#[test]
fn pretty_and_line_say_the_same() {
    let record = common::forwarded(true);
    let of = |layout| -> Vec<serde_json::Value> {
        let text = json(&record, &resource(), View::default(), layout);
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect()
    };
    assert_eq!(of(Layout::Line), of(Layout::Pretty));
}

#[test]
fn objects_say_what_the_limits_left_out() {
    let limits = Limits { attributes: 2, events: 0, links: 0, attribute_bytes: 6 };
    let text = json(&common::failed(), &resource(), View { limits, ..View::default() }, Layout::Line);
    let root: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(root["Attributes"].as_array().unwrap().len(), 2);
    assert_eq!(root["Attributes"][0]["Value"], "req-ab");
    assert_eq!((&root["Events"], &root["DroppedEvents"]), (&serde_json::json!([]), &1.into()));
    assert!(root["DroppedAttributes"].as_u64().unwrap() > 10);
    assert!(root.get("DroppedLinks").is_none(), "nothing is said of what was not dropped");
}
