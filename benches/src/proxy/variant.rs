//! The configurations of the router that are compared, from nothing to everything.

use std::net::SocketAddr;

use crate::rig::configuration::every_check;

/// One configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// One model, no checks, no tracing: the bare proxy.
    Bare,
    /// Every check, no tracing.
    Checks,
    /// Every check, every trace as JSON on stdout, which nobody reads.
    Stdout,
    /// Every check, every trace to a collector that takes it.
    Otlp,
    /// Every check, every trace to a collector that is not there.
    DeadCollector,
    /// Every check, and the answer comes from the cache.
    Remembered,
}

impl Variant {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Variant; 6] = [
        Variant::Bare,
        Variant::Checks,
        Variant::Stdout,
        Variant::Otlp,
        Variant::DeadCollector,
        Variant::Remembered,
    ];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::Bare => "no checks, no tracing",
            Variant::Checks => "every check, no tracing",
            Variant::Stdout => "every check, all traces to stdout",
            Variant::Otlp => "every check, all traces to a collector",
            Variant::DeadCollector => "every check, collector is not there",
            Variant::Remembered => "every check, answer from the cache",
        }
    }

    /// Its name in files.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Variant::Bare => "bare",
            Variant::Checks => "checks",
            Variant::Stdout => "stdout",
            Variant::Otlp => "otlp",
            Variant::DeadCollector => "dead",
            Variant::Remembered => "remembered",
        }
    }

    /// Its configuration, but for the listener. Log lines per request are off in all of them: they are a matter of what
    /// reads stderr.
    pub(crate) fn yaml(self, backend: SocketAddr, collector: SocketAddr) -> String {
        let tracing = match self {
            Variant::Bare | Variant::Checks | Variant::Remembered => "{ enabled: false }".to_owned(),
            Variant::Stdout => always_on("{ type: stdout, format: json }"),
            Variant::Otlp => always_on(&format!(
                "{{ type: otlp, endpoint: \"http://{collector}/v1/traces\", protocol: http/protobuf }}"
            )),
            Variant::DeadCollector => {
                always_on("{ type: otlp, endpoint: \"127.0.0.1:9\", insecure: true, protocol: grpc }")
            }
        };
        let policy = match self {
            Variant::Bare => no_checks(backend),
            _ => every_check(backend),
        };
        let cache = self == Variant::Remembered;
        format!(
            "{policy}cache: {{ enabled: {cache} }}\nobservability:\n  tracing: {tracing}\n  logs: {{ level: warn }}\n"
        )
    }
}

fn always_on(exporter: &str) -> String {
    format!("{{ exporter: {exporter}, sampling: {{ type: always_on }} }}")
}

fn no_checks(backend: SocketAddr) -> String {
    format!(
        r#"models:
  - {{ name: only, endpoints: [{{ name: one, address: "http://{backend}" }}] }}
decisions:
  - {{ name: block-jailbreak, enabled: false }}
  - {{ name: mask-pii, enabled: false }}
"#
    )
}

/// Every check, and spans as JSON on stdout: to read what each stage takes.
pub(crate) fn with_spans(backend: SocketAddr) -> String {
    Variant::Stdout.yaml(backend, backend)
}
