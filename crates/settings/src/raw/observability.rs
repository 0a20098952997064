//! `observability` as people write it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::defaults;
use crate::secret::Secret;

/// Traces, logs and metrics.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Observability {
    /// Traces.
    pub tracing: Option<Tracing>,
    /// Log lines, on stderr.
    pub logs: Option<Logs>,
    /// Metrics.
    pub metrics: Option<Metrics>,
}

/// Traces.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tracing {
    /// On or off. When off, the caller's trace context still travels on.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// `opentelemetry`, the only word.
    #[expect(dead_code, reason = "the schema knows the one word; there is nothing to choose")]
    pub provider: Option<Provider>,
    /// Where traces go: one destination or a list.
    pub exporter: Option<OneOrMany>,
    /// Which traces go there. Left out: all in development, 10 % in production.
    pub sampling: Option<Sampling>,
    /// Who we are, on each trace.
    pub resource: Option<Resource>,
    /// Whether prompts and answers are written, on the span of the call to the model. `__REDACTED__` stands in the place of
    /// personal data and credentials, whatever this says.
    #[schemars(extend("default" = false))]
    pub capture_content: Option<bool>,
    /// What the caller's trace context is to us.
    #[schemars(extend("default" = "parent"))]
    pub trust_incoming: Option<TrustIncoming>,
    /// Formats of trace context that are read and sent.
    pub propagators: Option<Vec<Propagator>>,
    /// Attributes of your own on each trace.
    pub attributes: Option<Attributes>,
    /// Bounds of one span.
    pub limits: Option<SpanLimits>,
}

/// The tracing provider.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    /// OpenTelemetry.
    #[serde(rename = "opentelemetry")]
    OpenTelemetry,
}

/// One destination or a list.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// One.
    One(Box<Exporter>),
    /// A list.
    Many(Vec<Exporter>),
}

/// One destination of traces. Keys that its type does not use are accepted.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exporter {
    /// Where to. Default: `otlp` where an endpoint is given, else `stdout`.
    #[serde(rename = "type")]
    pub kind: Option<ExporterType>,
    /// The address of the OTLP receiver: `host:port`, or a URL, whose scheme then decides about TLS.
    pub endpoint: Option<String>,
    /// For an endpoint without a scheme: plaintext or TLS.
    pub insecure: Option<bool>,
    /// The OTLP transport. Default: `grpc`, or `http/protobuf` where the endpoint's port is 4318.
    pub protocol: Option<Protocol>,
    /// Headers of each export.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Compression of each export.
    #[schemars(extend("default" = "none"))]
    pub compression: Option<Compression>,
    /// How long one export may take, in milliseconds.
    #[schemars(range(min = 1, max = 600000))]
    pub timeout_ms: Option<u64>,
    /// Further attempts of an export.
    pub retry: Option<Retry>,
    /// How spans are gathered for an export.
    pub batch: Option<Batch>,
    /// Certificates.
    pub tls: Option<Tls>,
    /// The form on stdout.
    #[schemars(extend("default" = "json"))]
    pub format: Option<StdoutFormat>,
    /// Vocabularies of attributes. Left out: all.
    pub semconv: Option<Vec<Semconv>>,
    /// Over `tracing.capture_content`.
    pub capture_content: Option<bool>,
}

/// Where traces go.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExporterType {
    /// An OpenTelemetry receiver.
    Otlp,
    /// The terminal.
    Stdout,
    /// The router's own trace store. Not available in this version: left out with a warning.
    Embedded,
}

/// The OTLP transport.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP over HTTP, protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// Compression of an export.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// None.
    None,
    /// gzip.
    Gzip,
}

/// Further attempts of an export. `Retry-After` of the receiver goes first.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// The most attempts, the first included.
    #[schemars(range(min = 1, max = 100), extend("default" = defaults::EXPORT_ATTEMPTS))]
    pub attempts: Option<u32>,
    /// The first pause, in milliseconds; it grows by half each time.
    #[schemars(range(min = 1), extend("default" = defaults::EXPORT_BACKOFF_MS))]
    pub backoff_ms: Option<u64>,
    /// The longest pause, in milliseconds.
    #[schemars(range(min = 1), extend("default" = defaults::EXPORT_MAX_BACKOFF_MS))]
    pub max_backoff_ms: Option<u64>,
}

/// How spans are gathered for an export.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// Traces that may wait for this exporter; further ones are dropped and counted. Default: 8192.
    #[schemars(range(min = 1, max = 10000000))]
    pub queue: Option<u64>,
    /// Spans in one export. Default: 512.
    #[schemars(range(min = 1, max = 1000000))]
    pub size: Option<u64>,
    /// The longest wait, in milliseconds. Default: 5000.
    #[schemars(range(min = 1, max = 3600000))]
    pub interval_ms: Option<u64>,
}

/// Certificates of an OTLP connection.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The file of the authorities that the receiver's certificate is checked against. Left out: the system's.
    pub ca_file: Option<String>,
    /// The file of our own certificate, for mutual TLS.
    pub certificate_file: Option<String>,
    /// The file of our own key.
    pub key_file: Option<String>,
    /// The name in the receiver's certificate, where it differs from the endpoint's.
    pub server_name: Option<String>,
}

/// The form on stdout.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StdoutFormat {
    /// One JSON object per span and line.
    Json,
    /// The same, indented.
    Pretty,
    /// A tree per request, for people.
    Tree,
}

/// A vocabulary of attributes.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Semconv {
    /// The router's own names: `routing.decision`, `cache.hit`.
    Router,
    /// OpenInference: `llm.model_name`.
    #[serde(rename = "openinference")]
    OpenInference,
    /// OpenTelemetry's names for generative AI: `gen_ai.request.model`.
    GenAi,
}

/// Which traces go out.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sampling {
    /// How it is decided.
    #[serde(rename = "type")]
    pub kind: Option<SamplingType>,
    /// The share of traces, for `probabilistic`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rate: Option<f64>,
    /// Traces per second, for `adaptive`.
    #[schemars(range(min = 0.0, max = 1000000.0))]
    pub target_per_second: Option<f64>,
    /// Whether a caller that does not sample decides for us too.
    #[schemars(extend("default" = "respect"))]
    pub parent_not_sampled: Option<ParentNotSampled>,
    /// What is kept although the rest of this block would drop it.
    pub keep: Option<Keep>,
}

/// How sampling is decided.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SamplingType {
    /// All traces.
    AlwaysOn,
    /// None, the rules of `keep` included.
    AlwaysOff,
    /// A share of `rate`, by the trace id.
    Probabilistic,
    /// About `target_per_second`.
    Adaptive,
}

/// What a caller that does not sample means.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ParentNotSampled {
    /// Its trace is not sampled here either.
    Respect,
    /// Sampled here as if there were no caller.
    Ignore,
}

/// What is kept although sampling would drop it.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    /// Requests that failed.
    pub errors: Option<bool>,
    /// Requests that a policy blocked.
    pub blocked: Option<bool>,
    /// Requests that took at least so many milliseconds.
    #[schemars(range(min = 1))]
    pub slow_ms: Option<u64>,
    /// Requests that needed a second attempt.
    pub retries: Option<bool>,
    /// Requests that the cache could not answer.
    pub cache_misses: Option<bool>,
    /// Requests with one of these attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// Who we are, on each trace.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    /// `service.name`. Default: vllm-semantic-router.
    pub service_name: Option<String>,
    /// `service.version`. Default: the router's own.
    pub service_version: Option<String>,
    /// `service.instance.id`. Default: made at start.
    pub service_instance_id: Option<String>,
    /// `deployment.environment.name`. Default: development.
    pub deployment_environment: Option<String>,
    /// Further attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// What the caller's trace context is to us.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TrustIncoming {
    /// Our parent.
    Parent,
    /// A link; we start a trace of our own.
    Link,
    /// Nothing.
    Ignore,
}

/// A format of trace context.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Propagator {
    /// W3C `traceparent` and `tracestate`.
    #[serde(rename = "tracecontext")]
    TraceContext,
    /// W3C `baggage`.
    Baggage,
    /// B3 in one header.
    B3,
    /// B3 in several headers.
    #[serde(rename = "b3multi")]
    B3Multi,
    /// `uber-trace-id`.
    Jaeger,
}

/// Attributes of your own on each trace, by attribute name.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attributes {
    /// From headers: `customer.id: x-customer-id`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// From the request's `metadata`: `region: region`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Always the same: `deployment.ring: canary`.
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    /// The header that names the user, from trusted peers. Default: x-user-id.
    pub user_id_header: Option<String>,
    /// The header that names the session, from trusted peers. Default: x-session-id.
    pub session_id_header: Option<String>,
}

/// Bounds of one span.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpanLimits {
    /// Attributes. Default: 128.
    #[schemars(range(min = 1, max = 10000))]
    pub attributes: Option<u32>,
    /// Events. Default: 128.
    #[schemars(range(min = 0, max = 10000))]
    pub events: Option<u32>,
    /// Links. Default: 128.
    #[schemars(range(min = 0, max = 10000))]
    pub links: Option<u32>,
    /// Bytes of one text value, prompts and answers too. Default: 4096.
    #[schemars(range(min = 1, max = 1048576))]
    pub attribute_bytes: Option<u32>,
}

/// Log lines.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logs {
    /// Their form.
    #[schemars(extend("default" = "text"))]
    pub format: Option<LogFormat>,
    /// The least serious lines shown.
    #[schemars(extend("default" = "info"))]
    pub level: Option<LogLevel>,
}

/// The form of log lines.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// How serious a log line is.
#[derive(Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Failures.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happens.
    Info,
    /// Details.
    Debug,
    /// Everything.
    Trace,
}

/// Metrics.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    /// On or off.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Whether the names that dashboards of the Go router query are kept.
    #[schemars(extend("default" = true))]
    pub legacy: Option<bool>,
}
