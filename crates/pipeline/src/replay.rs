//! Answers that no backend gives now: remembered ones, and polite refusals. In the form that the client asked for.

use bytes::Bytes;
use dialects::response::{Completion, Usage};
use dialects::sse::{UsageChunk, replay};

use crate::outcome::Refusal;
use crate::request::Request;

/// An answer that is complete before its first byte goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Value of `content-type`.
    pub content_type: &'static str,
    /// The body, in pieces.
    pub pieces: Vec<Bytes>,
}

/// A stored completion as the client wants it: JSON, or a stream of events.
pub fn stored(request: &Request, body: &Bytes) -> Prepared {
    if !request.parsed.stream() {
        return Prepared { content_type: "application/json", pieces: vec![body.clone()] };
    }
    let usage = match request.parsed.include_usage() {
        Some(true) => UsageChunk::Include,
        Some(false) | None => UsageChunk::Omit,
    };
    // What was stored was read as an answer before, so that it can be replayed; if not, it is better sent whole.
    let pieces = replay(request.parsed.dialect(), body, usage).unwrap_or_else(|_| vec![body.clone()]);
    Prepared { content_type: "text/event-stream", pieces }
}

/// A refusal as a completion that carries its message, with `content_filter` as the reason to stop.
pub fn refusal(request: &Request, refusal: &Refusal, id: &str, created: u64) -> Prepared {
    let completion = Completion {
        dialect: request.parsed.dialect(),
        id,
        created,
        model: request.parsed.model().unwrap_or("auto"),
        text: &refusal.message,
        finish_reason: "content_filter",
        usage: Usage::default(),
    };
    stored(request, &completion.to_bytes())
}
