//! Traces, logs and metrics.

use std::path::PathBuf;
use std::time::Duration;

pub use crate::raw::observability::{
    Compression, LogFormat, LogLevel, ParentNotSampled, Propagator, Protocol, Semconv, StdoutFormat,
    TrustIncoming,
};
use crate::secret::Secret;

/// Traces, logs and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Observability {
    /// Traces.
    pub tracing: Tracing,
    /// Log lines.
    pub logs: Logs,
    /// Metrics.
    pub metrics: Metrics,
}

/// Traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Whether traces go anywhere. When not, the caller's context still travels on.
    pub enabled: bool,
    /// Where traces go. May be empty.
    pub destinations: Vec<Destination>,
    /// Which traces go there.
    pub sampling: Sampling,
    /// Who we are.
    pub resource: Resource,
    /// What the caller's trace context is to us.
    pub trust_incoming: TrustIncoming,
    /// Formats of trace context that are read and sent, each once.
    pub propagators: Vec<Propagator>,
    /// Attributes of the operator's own.
    pub attributes: AttributeMapping,
    /// Bounds of one span.
    pub limits: SpanLimits,
}

/// One destination of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Where to.
    pub exporter: Exporter,
    /// Vocabularies of attributes; at least one.
    pub semconv: Vec<Semconv>,
    /// What of prompts and answers is recorded.
    pub content: ContentCapture,
    /// How spans are gathered.
    pub batch: Batch,
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq)]
pub enum Exporter {
    /// An OpenTelemetry receiver.
    Otlp(Box<Otlp>),
    /// The terminal.
    Stdout(StdoutFormat),
}

/// An OpenTelemetry receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// A complete URL; for [`Protocol::HttpProtobuf`] with its path (`…/v1/traces`).
    pub endpoint: String,
    /// The transport.
    pub protocol: Protocol,
    /// Headers of each export; names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Compression of each export.
    pub compression: Compression,
    /// How long one export may take.
    pub timeout: Duration,
    /// Further attempts.
    pub retry: ExportRetry,
    /// Certificates; of no meaning to an `http` endpoint.
    pub tls: ClientTls,
}

/// Further attempts of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportRetry {
    /// The most attempts, the first included.
    pub attempts: u32,
    /// The first pause; it doubles.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

/// Certificates of a connection that we open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Authorities; `None` is the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<TlsIdentity>,
    /// The name in the receiver's certificate.
    pub server_name: Option<String>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The file of the certificate.
    pub certificate_file: PathBuf,
    /// The file of the key.
    pub key_file: PathBuf,
}

/// How spans are gathered for an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Spans that may wait; at least `size`.
    pub queue: usize,
    /// Spans in one export.
    pub size: usize,
    /// The longest wait.
    pub interval: Duration,
}

/// What of prompts and answers is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentCapture {
    /// Prompts.
    pub inputs: bool,
    /// Answers.
    pub outputs: bool,
}

/// Which traces go out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// The head decision.
    pub head: Head,
    /// What a caller that does not sample means.
    pub parent_not_sampled: ParentNotSampled,
    /// What is kept although the head decision drops it. All off with [`Head::AlwaysOff`].
    pub keep: Keep,
}

/// The head decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// This share, 0 to 1.
    Probabilistic(f64),
    /// About so many traces per second.
    Adaptive(f64),
}

/// What is kept although the head decision drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Requests that failed.
    pub errors: bool,
    /// Requests that a policy blocked.
    pub blocked: bool,
    /// Requests that took at least so long.
    pub slow: Option<Duration>,
    /// Requests with a second attempt.
    pub retries: bool,
    /// Requests that the cache could not answer.
    pub cache_misses: bool,
    /// Requests with one of these attributes.
    pub attributes: Vec<(String, String)>,
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `service.name`
    pub service_name: String,
    /// `service.version`
    pub service_version: String,
    /// `service.instance.id`; `None` is for the program to make.
    pub service_instance_id: Option<String>,
    /// `deployment.environment.name`
    pub deployment_environment: String,
    /// Further attributes, ordered by name.
    pub attributes: Vec<(String, String)>,
}

/// Attributes of the operator's own, as pairs of attribute name and source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeMapping {
    /// From headers; header names in lower case.
    pub headers: Vec<(String, String)>,
    /// From the request's `metadata`.
    pub metadata: Vec<(String, String)>,
    /// Always the same.
    pub constants: Vec<(String, String)>,
    /// The header that names the user, in lower case.
    pub user_id_header: String,
    /// The header that names the session, in lower case.
    pub session_id_header: String,
}

/// Bounds of one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes.
    pub attributes: u32,
    /// Events.
    pub events: u32,
    /// Links.
    pub links: u32,
    /// Bytes of one text value.
    pub attribute_bytes: u32,
}

/// Log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logs {
    /// Their form.
    pub format: LogFormat,
    /// The least serious lines shown.
    pub level: LogLevel,
}

/// Metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// On or off.
    pub enabled: bool,
    /// Whether the Go router's names are kept.
    pub legacy: bool,
}
