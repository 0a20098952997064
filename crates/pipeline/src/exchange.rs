//! The life of a forwarded request: a state machine without I/O.
//!
//! A door asks for an [`Attempt`], sends it, and feeds what comes back: the head, each chunk, the end, or a fault. The
//! exchange says what goes to the client, when another attempt follows, and owns the record and the endpoint's permit.
//! Dropping it at any moment finishes the record: complete if the answer had ended, cancelled if not.

mod attempt;
mod content;
mod fault;
mod settle;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dialects::sse::DONE;
use trace::finding::UpstreamRequest;
use trace::{ActiveRecord, EventKind, Record, SpanIndex, Text};

use crate::Pipeline;
use crate::outcome::Plan;
use crate::policy::Endpoint;
use crate::ports::{AttemptReport, Permit};
use crate::request::Request;
use crate::stages::response_processing::{AnswerReader, JsonAnswer, StreamAnswer, Tokens, Treatment};
use crate::stages::upstream_request;

pub use attempt::{Attempt, CallerCredentials};
pub use fault::{Lost, UpstreamFault, UpstreamFaultKind};

/// The head of a backend's answer, as far as the exchange needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// HTTP status.
    pub status: u16,
    /// Value of `content-type`, if it has one.
    pub content_type: Option<String>,
}

/// What follows from a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadVerdict {
    /// The answer goes to the client; `content-length` only where it stays true.
    Forward {
        /// Whether the announced length stays true.
        keeps_length: bool,
    },
    /// This attempt is over; ask for the next.
    Retry,
    /// The backend's answer is not one; [`Exchange::lost`] says what follows.
    Invalid(UpstreamFault),
}

/// A forwarded request.
pub struct Exchange {
    pipeline: Arc<Pipeline>,
    request: Request,
    plan: Plan,
    record: Option<ActiveRecord>,
    choice: usize,
    attempts: u32,
    tried: Vec<Arc<str>>,
    first_provider: Option<Arc<str>>,
    current: Option<Current>,
    ended: bool,
    sight: Sight,
    bytes_in: u64,
    bytes_out: u64,
    /// Whether the last bytes for the client left an event of a stream open.
    inside_event: bool,
}

/// How much of the answer comes by here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// All of it.
    Whole,
    /// Its head: nothing can be read, changed or remembered of it.
    Head,
}

/// The attempt that is under way.
struct Current {
    span: SpanIndex,
    finding: Box<UpstreamRequest>,
    endpoint: Arc<Endpoint>,
    reader: AnswerReader,
    started: Instant,
    last_emitted: Option<Instant>,
    _permit: Permit,
}

impl Exchange {
    /// Takes a plan over, with the record of its request.
    pub fn new(pipeline: Arc<Pipeline>, request: Request, plan: Plan, record: ActiveRecord) -> Exchange {
        Exchange {
            pipeline,
            request,
            plan,
            record: Some(record),
            choice: 0,
            attempts: 0,
            tried: Vec::new(),
            first_provider: None,
            current: None,
            ended: false,
            sight: Sight::Whole,
            bytes_in: 0,
            bytes_out: 0,
            inside_event: false,
        }
    }

    /// The request's record, to read; `None` only after the exchange has settled.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// The request's record, to note what the door alone knows, such as the status that the client got.
    pub fn record_mut(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    /// The attempt goes through the hands of others, who retry by their own rules: no further one follows from here.
    pub fn hand_over(&mut self) {
        self.attempts = self.attempts.max(self.plan.max_attempts);
    }

    /// Only the head of the answer will come by here: its body is neither asked for more than the client wants, nor read.
    pub fn sees_only_head(&mut self) {
        self.sight = Sight::Head;
        self.plan.store = None;
    }

    /// The head of the answer has come.
    pub fn head(&mut self, head: &AnswerHead) -> HeadVerdict {
        let Some(current) = &mut self.current else { return HeadVerdict::Forward { keeps_length: false } };
        current.finding.http_status = Some(head.status);
        if self.pipeline.policy.failover.statuses.contains(&head.status) {
            self.pipeline.ports.backends.report(&current.endpoint, AttemptReport::Failed);
            if self.another_attempt() {
                self.close_attempt(Some((
                    head.status.to_string(),
                    "the backend refused; another attempt follows",
                )));
                return HeadVerdict::Retry;
            }
        }
        let Some(current) = &mut self.current else { return HeadVerdict::Retry };
        if head.status < 400
            && let Err(fault) = form(head, &self.request)
        {
            return HeadVerdict::Invalid(fault);
        }
        if head.status < 500 {
            self.pipeline.ports.backends.report(&current.endpoint, AttemptReport::Answered);
        }
        let treatment = Treatment {
            dialect: self.request.parsed.dialect(),
            masks: if self.pipeline.policy.unmask { self.plan.masks.clone() } else { Default::default() },
            strip_usage: upstream_request::asks_usage(&self.request, &current.endpoint),
            collect_bytes: self.pipeline.policy.answer_limit_bytes,
        };
        current.reader = match form(head, &self.request) {
            _ if head.status >= 400 || self.sight == Sight::Head => AnswerReader::Opaque,
            Ok(Form::Stream) => AnswerReader::Stream(Box::new(StreamAnswer::new(treatment))),
            Ok(Form::Json) => AnswerReader::Json(JsonAnswer::new(treatment)),
            Err(_) => AnswerReader::Opaque,
        };
        HeadVerdict::Forward { keeps_length: !current.reader.changes_length() }
    }

    /// The next bytes of the answer: those that go to the client now, if any.
    pub fn chunk(&mut self, chunk: Bytes) -> Option<Bytes> {
        self.bytes_in = self.bytes_in.saturating_add(length(&chunk));
        let (Some(current), Some(record)) = (&mut self.current, self.record.as_mut()) else {
            return Some(chunk);
        };
        let (emitted, tokens) = current.reader.push(&chunk);
        if tokens != Tokens::None {
            let now = record.clock.elapsed_ns();
            current.finding.answer.last_token_ns = Some(now);
            if tokens == Tokens::First {
                current.finding.answer.first_token_ns = Some(now);
                if let Some(span) = record.span_mut(current.span) {
                    span.push_event(now, EventKind::FirstToken);
                }
            }
        }
        if let Some(emitted) = &emitted {
            current.last_emitted = Some(Instant::now());
            self.bytes_out = self.bytes_out.saturating_add(length(emitted));
            self.inside_event = leaves_event_open(emitted);
        }
        emitted
    }

    /// The client was ready for more only after `wait`, while the backend had some.
    pub fn stalled_by_client(&mut self, since: Instant) {
        let Some(current) = &mut self.current else { return };
        if current.last_emitted.is_some() {
            current.finding.stalled_by_client_ms += since.elapsed().as_secs_f64() * 1e3;
        }
    }

    /// The answer has ended: the last bytes for the client, if any. What follows happens when the exchange is dropped.
    pub fn end(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let Some(current) = &mut self.current else {
            self.ended = true;
            return None;
        };
        let mut last = current.reader.end();
        if let Some(last) = &last {
            self.inside_event = leaves_event_open(last);
        }
        if !current.reader.complete() {
            let fault =
                UpstreamFault::new(UpstreamFaultKind::Incomplete, "the stream ended before it was complete");
            return match self.lost(fault) {
                Lost::Break(frame) => Some(last.map_or(frame.clone(), |last| [last, frame].concat().into())),
                Lost::Abort | Lost::Retry | Lost::Refuse(_) => last,
            };
        }
        if current.reader.say_last_word() {
            let boundary: &[u8] = if self.inside_event { b"\n\n" } else { b"" };
            last = Some([last.unwrap_or_default().as_ref(), boundary, DONE].concat().into());
        }
        self.ended = true;
        if let Some(last) = &last {
            self.bytes_out = self.bytes_out.saturating_add(length(last));
        }
        if let (Some(current), Some(record)) = (&self.current, self.record.as_mut())
            && let Some(span) = record.span_mut(current.span)
        {
            // The span ends with the last byte from the backend; what it found is written when the exchange settles.
            let now = span_now(span.start_ns, current.started);
            span.end_ns.get_or_insert(now);
        }
        last
    }

    /// Whether the answer has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn another_attempt(&self) -> bool {
        let left = self.attempts < self.plan.max_attempts;
        let somewhere =
            self.plan.choices.iter().skip(self.choice).any(|choice| {
                choice.model.endpoints.iter().any(|endpoint| !self.tried.contains(&endpoint.name))
            });
        left && somewhere && self.pipeline.ports.backends.may_retry()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.settle();
    }
}

/// In which form an answer comes.
enum Form {
    Json,
    Stream,
}

/// The form of an answer by its content type. A missing type is taken for what was asked for.
fn form(head: &AnswerHead, request: &Request) -> Result<Form, UpstreamFault> {
    let Some(kind) = &head.content_type else {
        return Ok(if request.parsed.stream() { Form::Stream } else { Form::Json });
    };
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/event-stream" => Ok(Form::Stream),
        "application/json" => Ok(Form::Json),
        other if other.ends_with("+json") => Ok(Form::Json),
        other => {
            let description = format!(
                "the backend answered with content type {other}, which is neither JSON nor a stream of events"
            );
            Err(UpstreamFault {
                kind: UpstreamFaultKind::Invalid,
                description: Text::from_outside(&description),
            })
        }
    }
}

/// Whether an event is open after these bytes. Said of a boundary that came in pieces too: a blank line too many is nothing.
fn leaves_event_open(bytes: &Bytes) -> bool {
    !bytes.ends_with(b"\n\n") && !bytes.ends_with(b"\r\n\r\n")
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn span_now(start_ns: u64, started: Instant) -> u64 {
    start_ns.saturating_add(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX))
}
