//! Secrets planted wherever a caller can write are searched for in every output.

use crate::common;

use std::sync::Arc;
use std::time::Duration;

use telemetry::log::{AccessLog, LogConfig, LogFormat, subscriber};
use telemetry::metrics::{Format, LegacyNames, Metrics, Names};
use telemetry::stdout::{Colour, Layout, Style, json, tree};
use telemetry::{Destination, Resource, View, otlp};
use trace::content::{Capture, Captured, Content, Message, Part, PartKind};
use trace::finding::Finding;
use trace::{EventKind, Record, SpanStatus, Stage, StageFailure, Text};

const SECRETS: [(&str, &str); 5] = [
    ("sk-", "proj4bcd3fgh1jklmn0p"),
    ("Bearer ", "eyJhbGciOi.JIUzI1NiJ9.c2lnbmF0dXJl"),
    ("https://admin:", "hunter2hunter2@db.internal/x"),
    ("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"),
    ("AKIA", "IOSFODNN7EXAMPLE"),
];

/// A record with a secret in each text that comes from outside.
fn planted(prefix: &str, secret: &str) -> Record {
    let text = || Text::from_outside(&format!("see {prefix}{secret} here"));
    let mut record = common::forwarded(true);
    let request = &mut record.request;
    request.id = text();
    request.path = text();
    request.user_id = Some(text());
    request.session_id = Some(text());
    request.conversation_id = Some(text());
    request.original_model = Some(text());
    request.custom = vec![(Arc::from("customer.id"), text())];
    record.fail("upstream_error", text());
    let upstream = record.stage_mut(Stage::UpstreamRequest).unwrap();
    if let Finding::UpstreamRequest(call) = &mut upstream.finding {
        call.answer.id = Some(text());
        call.answer.model = Some(text());
        call.answer.finish_reasons = vec![text()];
    }
    upstream.status = SpanStatus::Error { kind: "500".into(), description: text() };
    upstream.push_event(1, EventKind::Exception { kind: "500".into(), message: text() });
    upstream.failure = Some(StageFailure { kind: "timeout", description: text(), then: "skip" });
    let raw = format!("see {prefix}{secret} here");
    let part = Part { kind: PartKind::Text, content: Content::redacting(&raw, 4096, |_| Some(Vec::new())) };
    let message = Message { role: "user", parts: vec![part], finish_reason: None };
    record.content = Some(Box::new(Captured { inputs: vec![message.clone()], outputs: vec![message] }));
    record
}

fn metrics_page(record: &Record) -> String {
    let metrics = Metrics::new(&Names::default(), LegacyNames::Kept);
    metrics.fold(record);
    metrics.render(Format::Text) + &metrics.render(Format::OpenMetrics)
}

async fn log_lines(record: &Record, raw: &str) -> String {
    let mut text = String::new();
    for format in [LogFormat::Text, LogFormat::Json] {
        let captured = common::Captured::default();
        let writer = captured.clone();
        let config = LogConfig { format, filter: "info".into(), service_name: "router".into() };
        let subscriber = subscriber(&config, move || writer.clone(), Colour::Never).unwrap();
        let _guard = tracing::subscriber::set_default(subscriber);
        tracing::warn!(cause = raw, other = ?raw, "somebody else's error: {raw}");
        AccessLog.deliver(&[Arc::new(record.clone())]).await;
        text.push_str(&captured.text());
    }
    text
}

#[tokio::test]
async fn no_secret_leaves() {
    for (prefix, secret) in SECRETS {
        let record = planted(prefix, secret);
        let resource = Resource::new("router");
        let view = View { content: Capture { inputs: true, outputs: true }, ..View::default() };
        let message = otlp::export_request(&[Arc::new(record.clone())], &resource, view);
        let outputs = [
            ("tree", tree(&record, Style::PLAIN)),
            ("json", json(&record, &resource, view, Layout::Line)),
            ("debug", format!("{record:?}")),
            ("otlp", String::from_utf8_lossy(&message).into_owned()),
            ("metrics", metrics_page(&record)),
            ("log", log_lines(&record, &format!("see {prefix}{secret} here")).await),
        ];
        for (name, output) in outputs {
            assert!(!output.is_empty(), "{name}");
            // Whatever survives of the secret is at most a fragment.
            let fragment: String = secret.chars().take(9).collect();
            assert!(!output.contains(&fragment), "{name} contains {prefix}{secret}:\n{output}");
            if name != "metrics" {
                assert!(output.contains("here"), "{name} lost the text around {prefix}");
            }
        }
    }
}

#[test]
fn token_counts_survive() {
    let record = common::forwarded(true);
    let text = json(&record, &Resource::new("router"), View::default(), Layout::Line);
    assert!(text.contains("{\"Key\":\"llm.token_count.prompt\",\"Value\":12}"), "{text}");
    assert!(text.contains("{\"Key\":\"gen_ai.usage.output_tokens\",\"Value\":130}"));
}

#[test]
fn headers_of_an_exporter_are_not_shown() {
    let endpoint = otlp::Endpoint::parse("localhost:4317", None, 4317).unwrap();
    let mut config = otlp::Config::new(endpoint);
    config.headers.push(("dd-api-key".to_owned(), "0123456789abcdef".to_owned()));
    config.timeout = Duration::from_secs(1);
    let shown = format!("{config:?}");
    assert!(shown.contains("dd-api-key") && !shown.contains("0123456789abcdef"), "{shown}");
}
