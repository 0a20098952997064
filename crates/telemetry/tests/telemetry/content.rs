//! Prompts and answers: at the destinations that want them, and nowhere else.

use crate::common;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use telemetry::stdout::{Layout, Style, json as objects, tree};
use telemetry::{Limits, Resource, View, otlp};
use trace::content::{Capture, Captured, Content, Message, Part, PartKind};
use trace::semconv::Vocabularies;
use trace::{REDACTED, Record, Text};

const EVERYTHING: Capture = Capture { inputs: true, outputs: true };

fn part(kind: PartKind, text: &str) -> Part {
    let find =
        |text: &str| Some(text.match_indices("a@b.de").map(|(at, found)| at..at + found.len()).collect());
    Part { kind, content: Content::redacting(text, 32 * 1024, find) }
}

fn message(role: &'static str, text: &str) -> Message {
    Message { role, parts: vec![part(PartKind::Text, text)], finish_reason: None }
}

/// A record of a conversation; its answer holds thoughts and a credential.
fn conversation() -> Record {
    let mut record = common::forwarded(true);
    let answer = Message {
        role: "assistant",
        parts: vec![part(PartKind::Reasoning, "hm"), part(PartKind::Text, "Use sk-abcdefgh12345678 \"now\"")],
        finish_reason: Some(Text::from_outside("stop")),
    };
    record.content = Some(Box::new(Captured {
        inputs: vec![message("system", "Be brief."), message("user", "I am a@b.de"), message("tool", "42")],
        outputs: vec![answer],
    }));
    record
}

fn view(content: Capture) -> View {
    View { content, ..View::default() }
}

/// Attributes of the upstream span as a map.
fn upstream(record: &Record, view: View) -> Value {
    let text = objects(record, &Resource::new("router"), view, Layout::Line);
    let spans = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let span = spans.into_iter().find(|span| span["Name"] == "semantic_router.upstream.request").unwrap();
    let pairs = span["Attributes"].as_array().unwrap().iter();
    pairs.map(|pair| (pair["Key"].as_str().unwrap().to_owned(), pair["Value"].clone())).collect()
}

#[test]
fn both_vocabularies_tell_prompt_and_answer() {
    let attributes = upstream(&conversation(), view(EVERYTHING));
    let parsed = |key: &str| serde_json::from_str::<Value>(attributes[key].as_str().unwrap()).unwrap();
    let hidden = format!("I am {REDACTED}");
    let answer = format!("Use {REDACTED} \"now\"");
    assert_eq!(
        parsed("input.value"),
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": hidden},
            {"role": "tool", "content": "42"},
        ])
    );
    assert_eq!(attributes["input.mime_type"], "application/json");
    assert_eq!(
        (&attributes["output.value"], &attributes["output.mime_type"]),
        (&json!(answer), &json!("text/plain"))
    );
    assert_eq!(attributes["llm.input_messages.1.message.role"], "user");
    assert_eq!(attributes["llm.input_messages.1.message.content"], hidden);
    assert_eq!(attributes["llm.output_messages.0.message.role"], "assistant");
    assert_eq!(attributes["llm.output_messages.0.message.content"], answer);
    assert_eq!(
        parsed("gen_ai.input.messages"),
        json!([
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": hidden}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "response": "42"}]},
        ])
    );
    let parts = json!([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": answer}]);
    assert_eq!(
        parsed("gen_ai.output.messages"),
        json!([{"role": "assistant", "parts": parts, "finish_reason": "stop"}])
    );
}

#[test]
fn a_destination_that_wants_nothing_sees_what_it_always_saw() {
    let (with, without) = (conversation(), common::forwarded(true));
    let resource = Resource::new("router");
    let bytes =
        |record: &Record, view: View| otlp::export_request(&[Arc::new(record.clone())], &resource, view);
    let off = View::default();
    assert_eq!(off.content, Capture::NOTHING);
    assert_eq!(bytes(&with, off), bytes(&without, off));
    assert_eq!(objects(&with, &resource, off, Layout::Line), objects(&without, &resource, off, Layout::Line));
    assert_eq!(tree(&with, Style::PLAIN), tree(&without, Style::PLAIN));
    assert_ne!(
        bytes(&with, view(EVERYTHING)),
        bytes(&without, off),
        "the other destination of the same record"
    );
}

#[test]
fn the_side_that_is_hidden_has_a_placeholder() {
    for (capture, shown, hidden) in [
        (Capture { inputs: true, outputs: false }, "input", "output"),
        (Capture { inputs: false, outputs: true }, "output", "input"),
    ] {
        let attributes = upstream(&conversation(), view(capture));
        assert_eq!(attributes[format!("{hidden}.value")], REDACTED);
        assert_ne!(attributes[format!("{shown}.value")], REDACTED);
        assert!(attributes.get(format!("gen_ai.{hidden}.messages")).is_none());
        assert!(attributes.get(format!("llm.{hidden}_messages.0.message.content")).is_none());
        assert!(attributes.get(format!("gen_ai.{shown}.messages")).is_some());
    }
}

#[test]
fn a_vocabulary_that_is_not_wanted_tells_nothing() {
    let none = Vocabularies { openinference: false, genai: false };
    let attributes = upstream(&conversation(), View { vocabularies: none, ..view(EVERYTHING) });
    assert_eq!(
        attributes,
        upstream(&common::forwarded(true), View { vocabularies: none, ..View::default() })
    );
}

#[test]
fn within_the_limits_of_a_span_lists_stay_whole() {
    let mut record = conversation();
    if let Some(content) = record.content.as_mut() {
        content.inputs = (0..100).map(|_| message("user", &"\u{1}\"ä".repeat(3000))).collect();
    }
    let limits = Limits { attribute_bytes: 2000, ..Limits::default() };
    let attributes = upstream(&record, View { limits, ..view(EVERYTHING) });
    for key in ["gen_ai.input.messages", "input.value"] {
        let text = attributes[key].as_str().unwrap();
        assert!(text.len() <= 2000);
        assert!(!serde_json::from_str::<Vec<Value>>(text).unwrap().is_empty(), "{key}");
    }
    assert_eq!(attributes.as_object().unwrap().len(), 128);
    assert!(attributes["model.name"].is_string(), "what the router says itself is kept");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Wherever a secret stands, and wherever the text is cut.
    #[test]
    fn no_part_of_a_secret_is_in_an_export(
        before in "[ a-z\u{e4}\n\"]{0,200}",
        between in "[ ,.]{1,3}[a-z \u{20ac}]{0,200}",
        after in "[ ]{1,3}[a-z ]{0,3000}",
        limit in 0_usize..600,
        attribute_bytes in 1_u32..600,
    ) {
        let text = format!("{before} 4111111111111111{between} sk-Z9X8W7V6U5T4{after}");
        let find = |text: &str| {
            Some(text.match_indices("4111111111111111").map(|(at, found)| at..at + found.len()).collect())
        };
        let content = Content::redacting(&text, limit, find);
        prop_assert!(content.as_str().len() <= limit.max(trace::content::CUT_MARK.len()));
        let message =
            Message { role: "user", parts: vec![Part { kind: PartKind::Text, content }], finish_reason: None };
        let mut record = common::forwarded(true);
        record.content = Some(Box::new(Captured { inputs: vec![message.clone(); 3], outputs: vec![message] }));
        let limits = Limits { attribute_bytes, ..Limits::default() };
        let shown = objects(&record, &Resource::new("r"), View { limits, ..view(EVERYTHING) }, Layout::Line);
        for part in ["4111", "Z9X", "sk-"] {
            prop_assert!(!shown.contains(part), "{part} in {shown}");
        }
    }
}
