//! The exits of hand-written records, end to end: one binary, since each would link all of gRPC.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod common;
mod content;

mod exits;
mod metrics;
mod otlp_encode;
mod otlp_grpc;
mod otlp_http;
mod otlp_tls;
mod redaction;
mod terminal;
