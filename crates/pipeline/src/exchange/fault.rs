//! How a call to a backend can fail, and what follows for the client.

use bytes::Bytes;
use dialects::response::ErrorBody;
use dialects::response::ErrorCode;
use dialects::sse::error_frame;
use trace::Text;

use super::Exchange;
use crate::outcome::Refusal;
use crate::ports::AttemptReport;

/// A fault of a call, with a description that names no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFault {
    /// What sort.
    pub kind: UpstreamFaultKind,
    /// What happened, for the trace; it never goes to the client.
    pub description: Text,
}

/// Sorts of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamFaultKind {
    /// No connection: refused, no such host, TLS failed.
    Unreachable,
    /// No connection in time.
    ConnectTimeout,
    /// Nothing came in time.
    FirstTokenTimeout,
    /// Nothing more came in time.
    IdleTimeout,
    /// The whole took too long.
    TotalTimeout,
    /// The connection broke.
    Reset,
    /// The answer is not one.
    Invalid,
    /// A stream that was ended in good order, but without its end.
    Incomplete,
}

/// What follows from a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Nothing has gone to the client: ask for the next attempt.
    Retry,
    /// Nothing has gone to the client: it gets this error.
    Refuse(Refusal),
    /// A stream has begun: it ends with these bytes, an error frame, and without `[DONE]`.
    Break(Bytes),
    /// A body has begun: the connection has to be aborted, so that the client sees that it is not whole.
    Abort,
}

impl UpstreamFault {
    /// A fault with a description of our own.
    pub fn new(kind: UpstreamFaultKind, description: &str) -> UpstreamFault {
        UpstreamFault { kind, description: Text::trusted(description) }
    }
}

impl UpstreamFaultKind {
    /// Value of `error.type` on the attempt's span.
    pub fn as_str(self) -> &'static str {
        match self {
            UpstreamFaultKind::Unreachable => "unreachable",
            UpstreamFaultKind::ConnectTimeout => "connect_timeout",
            UpstreamFaultKind::FirstTokenTimeout => "first_token_timeout",
            UpstreamFaultKind::IdleTimeout => "idle_timeout",
            UpstreamFaultKind::TotalTimeout => "total_timeout",
            UpstreamFaultKind::Reset => "connection_reset",
            UpstreamFaultKind::Invalid => "invalid_answer",
            UpstreamFaultKind::Incomplete => "incomplete_answer",
        }
    }

    /// The API's code, and a sentence for the client.
    fn told(self) -> (ErrorCode, &'static str) {
        match self {
            UpstreamFaultKind::Unreachable => (
                ErrorCode::UpstreamUnreachable,
                "The model's backend could not be reached. Try again; if it persists, tell the router's operator.",
            ),
            UpstreamFaultKind::Reset => {
                (ErrorCode::UpstreamUnreachable, "The connection to the model's backend broke. Try again.")
            }
            UpstreamFaultKind::Invalid => (
                ErrorCode::UpstreamInvalid,
                "The model's backend gave an answer that is neither JSON nor a stream of events. Tell the router's operator.",
            ),
            UpstreamFaultKind::Incomplete => (
                ErrorCode::UpstreamInvalid,
                "The model's backend ended its answer before it was complete. Try again.",
            ),
            UpstreamFaultKind::ConnectTimeout
            | UpstreamFaultKind::FirstTokenTimeout
            | UpstreamFaultKind::IdleTimeout
            | UpstreamFaultKind::TotalTimeout => {
                (ErrorCode::UpstreamTimeout, "The model's backend took too long. Try again, or ask for less.")
            }
        }
    }

    /// Whether another backend may do better before the first byte has gone out. A reset before the head, and any
    /// failure to connect: the request was not answered. A timeout was: it would take as long again.
    fn may_be_retried(self) -> bool {
        matches!(
            self,
            UpstreamFaultKind::Unreachable
                | UpstreamFaultKind::ConnectTimeout
                | UpstreamFaultKind::Reset
                | UpstreamFaultKind::Invalid
        )
    }
}

impl Exchange {
    /// The attempt failed: what follows.
    pub fn lost(&mut self, fault: UpstreamFault) -> Lost {
        let begun = self.bytes_out > 0;
        let streams = self.current.as_ref().is_some_and(|current| current.reader.is_stream());
        if let Some(current) = &self.current {
            self.pipeline.ports.backends.report(&current.endpoint, AttemptReport::Failed);
        }
        if !begun && !self.head_sent() && fault.kind.may_be_retried() && self.another_attempt() {
            self.close_attempt_with(&fault, true);
            return Lost::Retry;
        }
        self.close_attempt_with(&fault, false);
        let (code, message) = fault.kind.told();
        if let Some(record) = self.record.as_mut() {
            record.fail(code.as_str(), fault.description.clone());
        }
        self.ended = true;
        if streams && self.head_sent() {
            let frame = error_frame(&ErrorBody::new(code, message));
            // An event that the backend left open would swallow the error.
            let boundary: &[u8] = if self.inside_event { b"\n\n" } else { b"" };
            return Lost::Break([boundary, &frame].concat().into());
        }
        if self.head_sent() {
            return Lost::Abort;
        }
        Lost::Refuse(Refusal::new(code, message))
    }

    /// Whether the client has the head of the answer: then nothing can be taken back.
    fn head_sent(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.http_status.is_some())
    }
}
