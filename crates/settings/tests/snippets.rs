//! Snippets that users of the project's documentation paste, each loaded with nothing added but the keys around it.

#![expect(clippy::panic, reason = "a test helper fails the test")]

use settings::check::observability::{Exporter, Head, Otlp, Protocol, StdoutFormat, Tracing};
use settings::{Environment, Loaded, Source, load};

fn loaded(yaml: &str) -> Loaded {
    let source = Source::Text { name: "snippet".into(), yaml: yaml.into() };
    load(source, &[], &Environment::default()).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"))
}

/// The tracing of a snippet that stands under `observability.tracing`.
fn tracing(snippet: &str) -> Tracing {
    let indented: String = snippet.lines().map(|line| format!("    {line}\n")).collect();
    loaded(&format!("observability:\n  tracing:\n{indented}")).settings.observability.tracing
}

fn otlp(tracing: &Tracing) -> &Otlp {
    match &tracing.destinations[0].exporter {
        Exporter::Otlp(otlp) => otlp,
        other => panic!("expected OTLP, found {other:?}"),
    }
}

#[test]
fn jaeger_with_everything_on() {
    let tracing = tracing(
        r#"enabled: true
provider: "opentelemetry"
exporter:
  type: "otlp"
  endpoint: "jaeger:4317"
  insecure: true
sampling:
  type: "always_on"
resource:
  service_name: "vllm-semantic-router""#,
    );
    assert_eq!(otlp(&tracing).endpoint, "http://jaeger:4317");
    assert_eq!(otlp(&tracing).protocol, Protocol::Grpc);
    assert_eq!(tracing.sampling.head, Head::AlwaysOn);
}

#[test]
fn keys_that_a_type_does_not_use_are_accepted() {
    let tracing = tracing(
        r#"enabled: true
provider: "opentelemetry"
exporter:
  type: "stdout"  # or "otlp"
  endpoint: "localhost:4317"
  insecure: true
sampling:
  type: "always_on"  # or "probabilistic"
  rate: 1.0
resource:
  service_name: "vllm-semantic-router"
  service_version: "v0.1.0"
  deployment_environment: "production""#,
    );
    assert_eq!(tracing.destinations[0].exporter, Exporter::Stdout(StdoutFormat::Json));
    assert_eq!(tracing.sampling.head, Head::AlwaysOn);
    assert_eq!(tracing.resource.service_version, "v0.1.0");
    assert_eq!(tracing.resource.deployment_environment, "production");
}

#[test]
fn production_over_tls() {
    let tracing = tracing(
        r#"enabled: true
provider: "opentelemetry"
exporter:
  type: "otlp"
  endpoint: "tempo:4317"
  insecure: false  # Use TLS
sampling:
  type: "probabilistic"
  rate: 0.1  # 10% sampling
resource:
  service_name: "vllm-semantic-router"
  deployment_environment: "production""#,
    );
    assert_eq!(otlp(&tracing).endpoint, "https://tempo:4317");
    assert_eq!(tracing.sampling.head, Head::Probabilistic(0.1));
}

#[test]
fn parts_of_an_exporter() {
    let tempo = tracing("exporter:\n  endpoint: \"tempo:4317\"");
    assert_eq!(otlp(&tempo).endpoint, "http://tempo:4317");
    let hosted =
        tracing("exporter:\n  type: otlp\n  endpoint: \"https://otlp.example.com\"\n  insecure: false");
    assert_eq!(otlp(&hosted).endpoint, "https://otlp.example.com");
    let collector = tracing("exporter:\n  endpoint: \"otlp-collector.prod.svc:4317\"\n  insecure: false");
    assert_eq!(otlp(&collector).endpoint, "https://otlp-collector.prod.svc:4317");
    let jaeger = tracing("enabled: true\nexporter:\n  type: \"otlp\"\n  endpoint: \"jaeger:4317\"");
    assert_eq!(otlp(&jaeger).endpoint, "http://jaeger:4317");
    assert_eq!(tracing("exporter:\n  type: \"stdout\"").destinations.len(), 1);
}

#[test]
fn every_sampling() {
    assert_eq!(tracing("sampling:\n  rate: 0.01").sampling.head, Head::Probabilistic(0.01));
    assert_eq!(
        tracing("sampling:\n  type: \"probabilistic\"\n  rate: 1.0").sampling.head,
        Head::Probabilistic(1.0)
    );
    assert_eq!(tracing("sampling:\n  type: \"always_off\"").sampling.head, Head::AlwaysOff);
    assert_eq!(
        tracing("sampling:\n  type: adaptive\n  target_per_second: 5").sampling.head,
        Head::Adaptive(5.0)
    );
}

#[test]
fn two_models_by_category() {
    let settings = loaded(
        r#"models:
  - name: "llama-3.1-8b"
    category: "general"
    endpoints:
      - name: "backend-1"
        address: "http://vllm-1:8000"

  - name: "llama-3.1-70b"
    category: "reasoning"
    endpoints:
      - name: "backend-2"
        address: "http://vllm-2:8000"
"#,
    )
    .settings;
    assert_eq!(settings.models.len(), 2);
    assert_eq!(settings.models[1].endpoints[0].origin(), "http://vllm-2:8000");
}

#[test]
fn plaintext_off_loopback_without_saying_so_is_a_warning() {
    let warned = |endpoint: &str| {
        let yaml = format!("observability: {{tracing: {{exporter: {{type: otlp, {endpoint}}}}}}}");
        loaded(&yaml).warnings.iter().any(|warning| warning.message.contains("unencrypted"))
    };
    assert!(warned("endpoint: 'jaeger:4317'"));
    assert!(!warned("endpoint: 'jaeger:4317', insecure: true"));
    assert!(!warned("endpoint: 'localhost:4317'"));
    assert!(!warned("endpoint: 'http://jaeger:4317'"));
}
