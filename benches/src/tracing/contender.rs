//! The matrix: which traces are kept, and where they go.

use std::net::SocketAddr;
use std::path::Path;

use crate::rig::Failure;
use crate::rig::configuration::every_check;
use crate::rig::process::Process;

/// Where a router sends what it gets and what it records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Targets {
    /// The backend.
    pub(crate) backend: SocketAddr,
    /// A collector that takes OTLP over HTTP.
    pub(crate) http: SocketAddr,
    /// A collector that takes OTLP over gRPC.
    pub(crate) grpc: SocketAddr,
}

/// How many of the traces are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// One in a hundred.
    OnePercent,
    /// One in ten.
    TenPercent,
    /// All.
    Always,
}

/// Where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exporter {
    /// As JSON to a stdout that nobody reads.
    Stdout,
    /// To a collector by gRPC.
    Grpc,
    /// To a collector by HTTP.
    Http,
    /// By gRPC to an endpoint where nobody listens.
    Dead,
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracing {
    /// None: what the others are compared with.
    Off,
    /// None, once more: what a difference without a cause looks like.
    OffAgain,
    /// Some of the traces to some exporter.
    On(Share, Exporter),
}

impl Tracing {
    /// The whole matrix, in the order of the tables.
    pub(crate) fn all() -> Vec<Tracing> {
        let mut all = vec![Tracing::Off, Tracing::OffAgain];
        for exporter in [Exporter::Stdout, Exporter::Grpc, Exporter::Http, Exporter::Dead] {
            for share in [Share::OnePercent, Share::TenPercent, Share::Always] {
                all.push(Tracing::On(share, exporter));
            }
        }
        all
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> String {
        match self {
            Tracing::Off => "off".to_owned(),
            Tracing::OffAgain => "off, once more".to_owned(),
            Tracing::On(share, exporter) => format!("{}, {}", exporter.name(), share.name()),
        }
    }

    fn yaml(self, targets: Targets) -> String {
        match self {
            Tracing::Off | Tracing::OffAgain => "{ enabled: false }".to_owned(),
            Tracing::On(share, exporter) => {
                format!("{{ exporter: {}, sampling: {} }}", exporter.yaml(targets), share.yaml())
            }
        }
    }
}

impl Share {
    fn name(self) -> &'static str {
        match self {
            Share::OnePercent => "1 %",
            Share::TenPercent => "10 %",
            Share::Always => "always_on",
        }
    }

    fn yaml(self) -> &'static str {
        match self {
            Share::OnePercent => "{ type: probabilistic, rate: 0.01 }",
            Share::TenPercent => "{ type: probabilistic, rate: 0.1 }",
            Share::Always => "{ type: always_on }",
        }
    }
}

impl Exporter {
    fn name(self) -> &'static str {
        match self {
            Exporter::Stdout => "stdout",
            Exporter::Grpc => "OTLP gRPC",
            Exporter::Http => "OTLP HTTP",
            Exporter::Dead => "dead endpoint",
        }
    }

    fn yaml(self, targets: Targets) -> String {
        let grpc = |address: String| {
            format!("{{ type: otlp, endpoint: \"{address}\", insecure: true, protocol: grpc }}")
        };
        match self {
            Exporter::Stdout => "{ type: stdout, format: json }".to_owned(),
            Exporter::Grpc => grpc(targets.grpc.to_string()),
            Exporter::Http => {
                format!(
                    "{{ type: otlp, endpoint: \"http://{}/v1/traces\", protocol: http/protobuf }}",
                    targets.http
                )
            }
            // The discard port: nobody listens there, and the kernel says so at once.
            Exporter::Dead => grpc("127.0.0.1:9".to_owned()),
        }
    }
}

/// A router with one cell's configuration.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Its cell.
    pub(crate) tracing: Tracing,
    /// The router.
    pub(crate) process: Process,
}

impl Contender {
    /// Starts it. Log lines per request are off in all of them: they are a matter of what reads stderr.
    pub(crate) fn start(
        tracing: Tracing,
        targets: Targets,
        router: &Path,
        scratch: &Path,
    ) -> Result<Contender, Failure> {
        let yaml = format!(
            "{}cache: {{ enabled: false }}\nobservability:\n  tracing: {}\n  logs: {{ level: warn }}\n",
            every_check(targets.backend),
            tracing.yaml(targets)
        );
        let file = tracing.name().replace([' ', ',', '%'], "-");
        Ok(Contender { tracing, process: Process::router(router, scratch, &file, &yaml)? })
    }
}
