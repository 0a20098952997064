//! The engine's own part of a trace: one SERVER span `llm_request` per request that it has finished, as vLLM writes it.
//!
//! What it is: a reading of the caller's W3C context, a mapping from an answer to vLLM's span, and an exporter over
//! OTLP/gRPC with a bounded queue. What it is not: a tracing library; it knows this one span.
//!
//! As with vLLM: the caller's context is continued, a caller that does not sample gets no span, no caller means a trace
//! of its own (`parentbased_always_on`, the default of OpenTelemetry's SDKs); and a request that was aborted, refused or
//! broken off before the engine had finished it leaves none.
//!
//! Invariant: no answer ever waits for a span.

mod context;
mod export;
mod span;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ScriptError;

use context::{Caller, Parent};
pub(crate) use export::{Exporter, exporter};
pub(crate) use span::{Generation, SamplingParameters};

/// Where the spans of an engine go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The OTLP/gRPC receiver.
    pub endpoint: OtlpEndpoint,
    /// The resource's `service.name`.
    pub service: String,
}

impl Traces {
    /// The service's name where none is given.
    pub const SERVICE: &'static str = "vllm";
}

/// A plaintext OTLP/gRPC receiver, written `http://HOST:PORT`, `grpc://HOST:PORT` or `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint(tonic::transport::Uri);

impl FromStr for OtlpEndpoint {
    type Err = ScriptError;

    /// # Errors
    /// Another scheme than these, or no host.
    fn from_str(written: &str) -> Result<Self, ScriptError> {
        let wrong = || {
            ScriptError::new(
                written,
                "an OTLP endpoint is http://HOST:PORT, grpc://HOST:PORT or HOST:PORT, without TLS",
            )
        };
        let authority = match written.split_once("://") {
            Some(("http" | "grpc", rest)) => rest.trim_end_matches('/'),
            Some(_) => return Err(wrong()),
            None => written,
        };
        let uri: tonic::transport::Uri = format!("http://{authority}").parse().map_err(|_| wrong())?;
        let is_bare = uri.path() == "/" && uri.query().is_none() && !authority.contains('@');
        if is_bare { Ok(Self(uri)) } else { Err(wrong()) }
    }
}

impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

/// Spans since the start.
#[derive(Debug, Default)]
struct Tally {
    made: AtomicU64,
    delivered: AtomicU64,
}

/// Makes spans.
#[derive(Clone, Debug)]
pub(crate) struct Tracer {
    queue: mpsc::Sender<Span>,
    tally: Arc<Tally>,
}

impl Tracer {
    /// A span for a request with these headers; `None` when its caller does not sample.
    pub(crate) fn begin(&self, headers: &HeaderMap, started: Instant) -> Option<OpenSpan> {
        let parent = match context::caller(headers) {
            Caller::Unsampled => return None,
            Caller::Sampled(parent) => Some(parent),
            Caller::Absent => None,
        };
        let start = SystemTime::now().checked_sub(started.elapsed())?;
        Some(OpenSpan { tracer: self.clone(), parent, start, started })
    }

    fn send(&self, span: Span) {
        self.tally.made.fetch_add(1, Ordering::Relaxed);
        // A full queue loses the span; the tally tells.
        let _ = self.queue.try_send(span);
    }
}

/// The span of a request under way. Dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    tracer: Tracer,
    parent: Option<Parent>,
    start: SystemTime,
    started: Instant,
}

impl OpenSpan {
    /// Ends the span now and hands it to the exporter.
    pub(crate) fn finish(self, generation: &Generation) {
        let end_to_end: Duration = self.started.elapsed();
        self.tracer.send(span::span(self.parent, self.start, end_to_end, generation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_plaintext_origins() {
        for written in ["http://localhost:4317", "grpc://localhost:4317/", "localhost:4317"] {
            assert_eq!(written.parse::<OtlpEndpoint>().unwrap().to_string(), "http://localhost:4317");
        }
        for written in ["https://localhost:4317", "http://", "http://a/v1/traces", "http://key@a:1", "a b"] {
            assert!(written.parse::<OtlpEndpoint>().is_err(), "{written}");
        }
    }
}
