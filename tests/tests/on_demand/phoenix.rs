//! Phoenix reads the router's spans as OpenInference means them: kinds, models, token counts, costs, and who is whose parent.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tests::client::{Client, chat, streamed};
use tests::configuration::{Configuration, model};
use tests::real_parts::{PHOENIX, found};
use tests::router::Router;
use tests::service::{START_LIMIT, Service, until};
use tests::span::Span;
use tests::{backend, bounded_by};
use tokio::process::Command;

/// A running Phoenix with an empty store.
struct Phoenix {
    service: Service,
    api: Client,
    _folder: TempDir,
}

impl Phoenix {
    async fn start(program: &Path) -> Phoenix {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.arg("serve").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", folder.path()).env("PHOENIX_WORKING_DIR", folder.path());
        // Its door for OTLP over gRPC listens on every address, which counts as 127.0.0.1; the other one takes another.
        command.envs([("PHOENIX_HOST", "127.0.0.2"), ("PHOENIX_PORT", "0"), ("PHOENIX_GRPC_PORT", "0")]);
        command.env("PHOENIX_TELEMETRY_ENABLED", "false");
        let service = Service::start(command, &[1, 2]).await;
        let api = Client::of(service.door(1));
        Phoenix { service, api, _folder: folder }
    }

    /// Every span of the project that Phoenix has for spans that name none.
    async fn spans(&self) -> Vec<Value> {
        let answer = self.api.get("/v1/projects/default/spans?limit=1000").await;
        if answer.status != 200 {
            return Vec::new();
        }
        answer.json()["data"].as_array().cloned().unwrap_or_default()
    }
}

#[test]
fn phoenix_reads_over_grpc_what_was_meant() {
    read("phoenix::phoenix_reads_over_grpc_what_was_meant", |phoenix| {
        format!("type: otlp, endpoint: '{}', insecure: true", phoenix.service.door(0))
    });
}

#[test]
fn phoenix_reads_over_http_what_was_meant() {
    read("phoenix::phoenix_reads_over_http_what_was_meant", |phoenix| {
        format!("type: otlp, protocol: http/protobuf, endpoint: 'http://{}'", phoenix.service.door(1))
    });
}

fn read(test: &str, exporter: fn(&Phoenix) -> String) {
    let Some(program) = found(test, PHOENIX) else { return };
    bounded_by(START_LIMIT * 2, async {
        let phoenix = Phoenix::start(&program).await;
        let backend = backend::faulty("small", &["status=503@prompt=busy"]).await;
        let router = Router::start(Configuration::exactly(format!(
            "listen: {{ http: '127.0.0.1:0', metrics: off, admin: off }}\nmodels:\n  - {}\nobservability:\n  tracing:\n    \
             exporter: [{{ type: stdout, format: json }}, {{ {} }}]\n    sampling: {{ type: always_on }}\n",
            model("small", "pricing: { prompt: 1.5, completion: 2 }", &[("backend-1", &backend)]),
            exporter(&phoenix)
        )))
        .await;
        let client = router.client();
        let mut shown = Vec::new();
        let mut ids = Vec::new();
        for body in [chat("Hi"), streamed("Write a haiku about tea"), chat("Hi"), chat("busy")] {
            ids.push(client.chat(&body).await.trace_id().to_owned());
        }
        let left = router.end().await;
        for id in &ids {
            shown.extend(left.spans(id));
        }
        let spans = until("as many spans in Phoenix", || async {
            let spans = phoenix.spans().await;
            (spans.len() >= shown.len()).then_some(spans)
        })
        .await;
        assert_eq!(spans.len(), shown.len());
        for span in &shown {
            let told = spans.iter().find(|told| told["context"]["span_id"] == span.span_id.as_str());
            assert_read(span, told.expect("Phoenix has the span"));
        }
        let kinds: BTreeSet<&str> = spans.iter().filter_map(|told| told["span_kind"].as_str()).collect();
        assert_eq!(kinds, BTreeSet::from(["CHAIN", "GUARDRAIL", "LLM", "RETRIEVER"]));
        let counted = spans.iter().filter(|told| told["attributes"]["llm.token_count.total"].is_number());
        assert_eq!(counted.count(), 2, "the two answers that a model gave");
        phoenix.service.end().await;
    });
}

/// What Phoenix read of a span.
fn assert_read(span: &Span, told: &Value) {
    assert_eq!(told["name"], span.name.as_str());
    assert_eq!(told["context"]["trace_id"], span.trace_id.as_str(), "{told}");
    assert_eq!(told["parent_id"].as_str(), span.parent_id.as_deref(), "{told}");
    let kind = span.get("openinference.span.kind").as_str().unwrap_or("UNKNOWN");
    assert_eq!(told["span_kind"], kind, "{told}");
    let status = if span.status == "error" { "ERROR" } else { "UNSET" };
    assert_eq!(
        (&told["status_code"], &told["status_message"]),
        (&status.into(), &span.description.as_str().into()),
        "{told}"
    );
    for (key, value) in span.attributes.iter().filter(|(key, _)| key.starts_with("llm.")) {
        assert_eq!(&told["attributes"][key], value, "{key} of {told}");
    }
}
