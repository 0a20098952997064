//! Every default value, once: the schema shows these constants and the checked settings are built from them.
//!
//! What it is not: a place for defaults that depend on other settings; those stand beside the code that decides them.

/// Where the HTTP door listens.
pub(crate) const HTTP_ADDRESS: &str = "127.0.0.1:8080";
/// Where Prometheus reads `/metrics`.
pub(crate) const METRICS_ADDRESS: &str = "127.0.0.1:9190";
/// Where the admin API listens.
pub(crate) const ADMIN_ADDRESS: &str = "127.0.0.1:9191";
/// Where Envoy asks.
pub(crate) const EXTPROC_ADDRESS: &str = "127.0.0.1:50051";
/// How long a decision may take behind Envoy, in milliseconds: under the 200 that Envoy waits by default.
pub(crate) const DECISION_TIMEOUT_MS: u64 = 150;

/// The largest request body, in bytes: 10 MiB.
pub(crate) const BODY_BYTES: u64 = 10 * 1024 * 1024;
/// The largest request head (all header lines together), in bytes.
pub(crate) const HEADER_BYTES: u64 = 64 * 1024;
/// The most header lines in a request.
pub(crate) const HEADERS: u64 = 100;
/// How long a client may take to send a whole request, in milliseconds.
pub(crate) const READ_TIMEOUT_MS: u64 = 30_000;
/// The most requests in flight at once; the next one is answered with 429 `over_capacity`.
pub(crate) const IN_FLIGHT: u64 = 1024;
/// The most client connections at once.
pub(crate) const CONNECTIONS: u64 = 4096;
/// The most messages in a conversation.
pub(crate) const MESSAGES: u64 = 10_000;

/// How long a connection to a backend may take to open, in milliseconds.
pub(crate) const CONNECT_MS: u64 = 5_000;
/// How long a backend may take until the first byte of its answer's body, in milliseconds.
pub(crate) const FIRST_TOKEN_MS: u64 = 120_000;
/// How long a backend may pause between two chunks, in milliseconds.
pub(crate) const IDLE_MS: u64 = 60_000;
/// How long one request may take in all, in milliseconds.
pub(crate) const TOTAL_MS: u64 = 600_000;

/// Answers of a backend after which the next one is tried.
pub(crate) const FAILOVER_STATUSES: [u16; 2] = [429, 503];
/// The most attempts for one request, the first included.
pub(crate) const ATTEMPTS: u32 = 3;
/// Retries allowed per request, on average.
pub(crate) const RETRY_RATIO: f64 = 0.2;
/// Retries per second that are always allowed, however few requests there are.
pub(crate) const RETRY_MIN_PER_SECOND: u32 = 10;
/// Failures in a row after which an endpoint is left out for a while.
pub(crate) const EJECT_AFTER_FAILURES: u32 = 5;
/// How long an endpoint is left out, in milliseconds.
pub(crate) const EJECT_MS: u64 = 10_000;

/// The probability under which a domain counts as not recognised.
pub(crate) const MIN_CONFIDENCE: f64 = 0.5;
/// The probability from which a prompt counts as a jailbreak: where the built-in model is pinned to 1 % false positives.
pub(crate) const JAILBREAK_THRESHOLD: f64 = 0.7;
/// The confidence from which a PII finding counts.
pub(crate) const PII_THRESHOLD: f64 = 0.5;

/// How long the checks of one request may take, in milliseconds: several times what the longest body that is taken needs
/// on one processor.
pub(crate) const CHECK_TIMEOUT_MS: u64 = 5_000;

/// How long a stored answer is good for, in seconds.
pub(crate) const CACHE_TTL_SECONDS: u64 = 3_600;
/// The most stored answers.
pub(crate) const CACHE_ENTRIES: u64 = 10_000;
/// The most bytes of stored answers: 64 MiB.
pub(crate) const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// The largest single stored answer, in bytes.
pub(crate) const CACHE_ENTRY_BYTES: u64 = 1024 * 1024;
/// The highest temperature at which an answer is stored and replayed.
pub(crate) const CACHE_MAX_TEMPERATURE: f64 = 1.0;
/// The similarity from which a stored answer counts; 1 asks for the same text after normalisation.
pub(crate) const CACHE_THRESHOLD: f64 = 1.0;

/// How long requests in flight may take to end after Ctrl-C or SIGTERM, in seconds.
pub(crate) const DRAIN_SECONDS: u64 = 30;

/// The name under which traces and log lines appear.
pub(crate) const SERVICE_NAME: &str = "vllm-semantic-router";
/// The deployment environment when nothing names one.
pub(crate) const DEPLOYMENT_ENVIRONMENT: &str = "development";
/// Where an OTLP exporter over gRPC sends when nothing names an endpoint.
pub(crate) const OTLP_GRPC_ENDPOINT: &str = "http://localhost:4317";
/// Where an OTLP exporter over HTTP sends when nothing names an endpoint.
pub(crate) const OTLP_HTTP_ENDPOINT: &str = "http://localhost:4318/v1/traces";
/// How long one export may take, in milliseconds.
pub(crate) const EXPORT_TIMEOUT_MS: u64 = 10_000;
/// Traces that may wait for one exporter; further ones are dropped and counted.
pub(crate) const BATCH_QUEUE: u64 = 8_192;
/// Spans in one export.
pub(crate) const BATCH_SIZE: u64 = 512;
/// How long a span waits at most before it is exported, in milliseconds.
pub(crate) const BATCH_INTERVAL_MS: u64 = 5_000;
/// The most attempts of one export.
pub(crate) const EXPORT_ATTEMPTS: u32 = 5;
/// The first pause between two attempts of an export, in milliseconds.
pub(crate) const EXPORT_BACKOFF_MS: u64 = 1_000;
/// The longest pause between two attempts of an export, in milliseconds.
pub(crate) const EXPORT_MAX_BACKOFF_MS: u64 = 30_000;
/// The share of traces kept in production, between 0 and 1.
pub(crate) const PRODUCTION_RATE: f64 = 0.1;
/// Traces per second that adaptive sampling aims for.
pub(crate) const TARGET_PER_SECOND: f64 = 10.0;
/// The most attributes of a span.
pub(crate) const SPAN_ATTRIBUTES: u32 = 128;
/// The most events of a span.
pub(crate) const SPAN_EVENTS: u32 = 128;
/// The most links of a span.
pub(crate) const SPAN_LINKS: u32 = 128;
/// The longest text value of an attribute, in bytes.
pub(crate) const ATTRIBUTE_BYTES: u32 = 4_096;
