//! The record of one request, and the guard that finishes it whatever happens.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use crate::content::{Capture, Captured};
use crate::finding::Finding;
use crate::propagation::{Propagators, TraceContext};
use crate::sampling::{KeepRules, SamplingVerdict};
use crate::span::{EventKind, Link, MAX_EVENTS, Span, SpanIndex, SpanStatus, Stage};
use crate::{Clock, Event, SpanId, Text, Timed, TraceId};

/// Through which door a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// Plain HTTP.
    Http,
    /// Envoy's external processor.
    ExtProc,
    /// WebSocket.
    WebSocket,
}

impl Door {
    /// Value of `semantic_router.door`.
    pub fn as_str(self) -> &'static str {
        match self {
            Door::Http => "http",
            Door::ExtProc => "extproc",
            Door::WebSocket => "websocket",
        }
    }
}

/// Whose position in the trace is sent on to backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SentContext {
    /// Ours: the backend's spans become children of the upstream span.
    #[default]
    Ours,
    /// The caller's as it came, or none: for a router that does not trace, whose spans nobody would ever see.
    Callers,
}

/// How far a door let us see the request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    /// Request head only.
    Request,
    /// Up to the answer's head.
    Headers,
    /// Everything.
    Body,
}

impl Observed {
    /// Value of `semantic_router.observed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Observed::Request => "request",
            Observed::Headers => "headers",
            Observed::Body => "body",
        }
    }
}

/// What is known of the request itself.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// `x-request-id`, the client's or ours.
    pub id: Text,
    /// The door.
    pub door: Door,
    /// HTTP method.
    pub method: Cow<'static, str>,
    /// Path as requested, without the query.
    pub path: Text,
    /// The route that matched: low cardinality, `_OTHER` if none did.
    pub route: &'static str,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Identity from the principal.
    pub user_id: Option<Text>,
    /// Session, from a trusted header or a mapping.
    pub session_id: Option<Text>,
    /// Conversation, where the request names one.
    pub conversation_id: Option<Text>,
    /// The model that the client asked for.
    pub original_model: Option<Text>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Short hash of the configuration that the request began with.
    pub config_version: Arc<str>,
    /// How far we saw.
    pub observed: Observed,
    /// Custom attributes by mapping: configured names, redacted values.
    pub custom: Vec<(Arc<str>, Text)>,
}

impl RequestFacts {
    /// What is known when the head has come, over plain HTTP and with everything in sight; the rest is filled in later.
    pub fn new(
        id: Text,
        door: Door,
        method: impl Into<Cow<'static, str>>,
        path: Text,
        route: &'static str,
    ) -> RequestFacts {
        RequestFacts {
            id,
            door,
            method: method.into(),
            path,
            route,
            scheme: "http",
            user_id: None,
            session_id: None,
            conversation_id: None,
            original_model: None,
            stream: false,
            config_version: Arc::from(""),
            observed: Observed::Body,
            custom: Vec::new(),
        }
    }
}

/// A fault of the whole request: makes the root's status ERROR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFault {
    /// Value of `error.type`.
    pub kind: Cow<'static, str>,
    /// What happened.
    pub description: Text,
}

/// Takes finished records. Implementations never block and never fail: what they cannot take they count.
pub trait RecordSink: Send + Sync {
    /// The record is complete: every span is closed.
    fn finished(&self, record: Box<Record>);
}

/// One request's record. Written by one owner at a time, read-only once finished.
#[derive(Clone, Debug)]
pub struct Record {
    /// The root's own context: what children have as parent.
    pub trace_id: TraceId,
    /// The root span's id.
    pub root_id: SpanId,
    /// The caller's span, when the trace was continued.
    pub parent: Option<TraceContext>,
    /// Links of the root, such as the caller's span when it is not trusted as parent.
    pub links: Vec<Link>,
    /// Formats in which the trace is sent on.
    pub propagators: Propagators,
    /// Whose position is sent on.
    pub sends: SentContext,
    /// Whether and why the trace goes to sampled destinations.
    pub sampling: SamplingVerdict,
    /// What is kept although the head drops it; `None` where nothing is, as under `always_off`.
    pub keep: Option<Arc<KeepRules>>,
    /// Whether a rule keeps the trace although a backend was told that it is not sampled: then its spans are missing.
    pub sampling_partial: bool,
    /// What of prompts and answers some destination wants.
    pub capture: Capture,
    /// What is kept of them; `None` unless it is wanted.
    pub content: Option<Box<Captured>>,
    /// The request's clock.
    pub clock: Clock,
    /// The request.
    pub request: RequestFacts,
    /// Nanoseconds spent reading the request's body.
    pub read_ns: u64,
    /// Nanoseconds in which the client took no bytes that we had.
    pub client_wait_ns: u64,
    /// Status that the client got, or would have got.
    pub http_status: Option<u16>,
    /// The model of the latest attempt: the chosen one, or after a failover the one that stood by.
    pub answering_model: Option<Arc<str>>,
    /// Code of a refusal or a client's mistake (`jailbreak_detected`, `invalid_json`): an outcome, not a fault.
    pub refusal: Option<&'static str>,
    /// The decision of the configuration that refused it.
    pub refused_by: Option<Arc<str>>,
    /// A fault of ours or of the backend's.
    pub fault: Option<RootFault>,
    /// Events of the root.
    pub events: Vec<Event>,
    /// How many more happened than were kept.
    pub dropped_events: u32,
    /// Length in nanoseconds; set when finished.
    pub duration_ns: u64,
    spans: Vec<Span>,
    told_unsampled: bool,
}

impl Record {
    /// A record that starts with `clock`, continuing `parent` if there is one.
    pub fn new(
        clock: Clock,
        parent: Option<TraceContext>,
        sampling: SamplingVerdict,
        request: RequestFacts,
    ) -> Record {
        Record {
            trace_id: parent.as_ref().map_or_else(TraceId::random, |context| context.trace_id),
            root_id: SpanId::random(),
            parent,
            links: Vec::new(),
            propagators: Propagators::default(),
            sends: SentContext::default(),
            sampling,
            keep: None,
            sampling_partial: false,
            capture: Capture::NOTHING,
            content: None,
            clock,
            request,
            read_ns: 0,
            client_wait_ns: 0,
            http_status: None,
            answering_model: None,
            refusal: None,
            refused_by: None,
            fault: None,
            events: Vec::new(),
            dropped_events: 0,
            duration_ns: 0,
            // The usual forwarded request has nine spans.
            spans: Vec::with_capacity(10),
            told_unsampled: false,
        }
    }

    /// Opens a span now.
    pub fn begin(&mut self, stage: Stage) -> SpanIndex {
        let start_ns = self.clock.elapsed_ns();
        self.push(stage, start_ns, None, Finding::Pending)
    }

    /// Closes a span now, with what it found.
    pub fn end(&mut self, index: SpanIndex, finding: Finding) {
        let end_ns = self.clock.elapsed_ns();
        if let Some(span) = self.spans.get_mut(index.0) {
            span.finding = finding;
            span.end_ns.get_or_insert(end_ns);
        }
    }

    /// Records a stage that was measured elsewhere, such as concurrently with others.
    pub fn add(&mut self, stage: Stage, finding: Timed<Finding>) -> SpanIndex {
        let (start_ns, end_ns) = (self.clock.at(finding.started), self.clock.at(finding.ended));
        self.push(stage, start_ns, Some(end_ns.max(start_ns)), finding.value)
    }

    /// A span to write to; `None` only for an index of another record.
    pub fn span_mut(&mut self, index: SpanIndex) -> Option<&mut Span> {
        self.spans.get_mut(index.0)
    }

    /// The span at a place in the order of recording.
    pub fn span_at_mut(&mut self, place: usize) -> Option<&mut Span> {
        self.spans.get_mut(place)
    }

    /// What of prompts and answers is worth keeping: nothing where no destination can get the trace.
    pub fn captures(&self) -> Capture {
        if self.sampling.sampled || self.keep.is_some() { self.capture } else { Capture::NOTHING }
    }

    /// The first span of a stage, to complete what is known only later.
    pub fn stage_mut(&mut self, stage: Stage) -> Option<&mut Span> {
        self.spans.iter_mut().find(|span| span.stage == stage)
    }

    /// The spans, in the order in which they were recorded.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Adds an event to the root, or counts it if there are [`MAX_EVENTS`] already.
    pub fn push_event(&mut self, kind: EventKind) {
        if self.events.len() < MAX_EVENTS {
            let at_ns = self.clock.elapsed_ns();
            self.events.push(Event { at_ns, kind });
        } else {
            self.dropped_events = self.dropped_events.saturating_add(1);
        }
    }

    /// The context of the root, for answers (`traceresponse`).
    pub fn root_context(&self) -> TraceContext {
        self.context_of(self.root_id)
    }

    /// The context to send on under a span: its id, the caller's trace state, and as flag the head decision or that of
    /// the rules whose facts are known by now. `None` where only a caller's position is sent on and there is none.
    pub fn send_under(&mut self, index: SpanIndex) -> Option<TraceContext> {
        if self.sends == SentContext::Callers {
            return self.parent.clone();
        }
        if let Some(reason) = self.kept(KeepRules::early) {
            self.sampling = SamplingVerdict { sampled: true, reason };
        }
        self.told_unsampled |= !self.sampling.sampled;
        Some(self.context_of(self.spans.get(index.0).map_or(self.root_id, |span| span.id)))
    }

    /// Notes a fault of the whole request: status ERROR, `error.type`, and an `exception` event.
    pub fn fail(&mut self, kind: impl Into<Cow<'static, str>>, description: Text) {
        let kind = kind.into();
        self.push_event(EventKind::Exception { kind: kind.clone(), message: description.clone() });
        self.fault.get_or_insert(RootFault { kind, description });
    }

    /// The root's status.
    pub fn status(&self) -> SpanStatus {
        match &self.fault {
            Some(fault) => {
                SpanStatus::Error { kind: fault.kind.clone(), description: fault.description.clone() }
            }
            None => SpanStatus::Unset,
        }
    }

    /// Nanoseconds that backends took, all attempts together; they never overlap.
    pub fn upstream_ns(&self) -> u64 {
        let attempts = self.spans.iter().filter(|span| span.stage == Stage::UpstreamRequest);
        attempts.map(Span::duration_ns).sum()
    }

    /// Nanoseconds of the router's own: the whole without reading the request, backends, and a client that
    /// takes no bytes.
    pub fn router_ns(&self) -> u64 {
        let elsewhere = self.read_ns.saturating_add(self.upstream_ns()).saturating_add(self.client_wait_ns);
        self.duration_ns.saturating_sub(elsewhere)
    }

    /// What an end before the last byte means. Behind Envoy nobody says which side it was, once an answer has begun.
    fn early_end(&self) -> EventKind {
        match (self.request.door, self.http_status) {
            (Door::ExtProc, Some(_)) => EventKind::CutShort,
            _ => EventKind::ClientDisconnected,
        }
    }

    fn context_of(&self, span_id: SpanId) -> TraceContext {
        let mut context =
            TraceContext::new(self.trace_id, span_id, self.sampling.flags(self.parent.as_ref()));
        if let Some(parent) = &self.parent {
            context.state = parent.state.clone();
        }
        context
    }

    /// The rule that keeps the trace, if the head dropped it.
    fn kept(&self, rule: fn(&KeepRules, &Record) -> Option<&'static str>) -> Option<&'static str> {
        let rules = self.keep.as_ref().filter(|_| !self.sampling.sampled)?;
        rule(rules, self)
    }

    fn push(&mut self, stage: Stage, start_ns: u64, end_ns: Option<u64>, finding: Finding) -> SpanIndex {
        self.spans.push(Span {
            id: SpanId::random(),
            stage,
            start_ns,
            end_ns,
            status: SpanStatus::Unset,
            finding,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            failure: None,
            cancelled: false,
        });
        SpanIndex(self.spans.len() - 1)
    }

    fn close(&mut self, cancelled: bool) {
        let now = self.clock.at(Instant::now());
        for span in self.spans.iter_mut().filter(|span| span.end_ns.is_none()) {
            span.end_ns = Some(now.max(span.start_ns));
            span.cancelled = cancelled;
        }
        self.duration_ns = now;
        if let Some(reason) = self.kept(KeepRules::late) {
            self.sampling = SamplingVerdict { sampled: true, reason };
            self.sampling_partial = self.told_unsampled;
        }
    }
}

/// Owns a record while its request is alive, and finishes it exactly once: by [`ActiveRecord::finish`], or
/// when it is dropped, which means that the client went away or that the program panicked.
pub struct ActiveRecord {
    record: Option<Box<Record>>,
    sink: Arc<dyn RecordSink>,
}

impl ActiveRecord {
    /// Guards `record`; it goes to `sink` when it is finished.
    pub fn new(record: Record, sink: Arc<dyn RecordSink>) -> ActiveRecord {
        ActiveRecord { record: Some(Box::new(record)), sink }
    }

    /// The last byte has left: closes the root and hands the record over.
    pub fn finish(mut self) {
        self.hand_over(End::Complete);
    }

    fn hand_over(&mut self, end: End) {
        let Some(mut record) = self.record.take() else { return };
        match end {
            End::Complete => record.close(false),
            End::Panicked => {
                record
                    .fail("panic", Text::trusted("the request's task panicked; this is a bug of the router"));
                record.close(true);
            }
            End::Dropped => {
                let kind = record.early_end();
                for span in record.spans.iter_mut().filter(|span| span.stage == Stage::UpstreamRequest) {
                    if span.end_ns.is_none() {
                        let at_ns = record.clock.elapsed_ns();
                        span.push_event(at_ns, kind.clone());
                    }
                }
                record.push_event(kind);
                record.close(true);
            }
        }
        self.sink.finished(record);
    }
}

enum End {
    Complete,
    Dropped,
    Panicked,
}

impl Deref for ActiveRecord {
    type Target = Record;

    #[expect(
        clippy::expect_used,
        reason = "the record leaves only in finish, which consumes the guard, and in drop"
    )]
    fn deref(&self) -> &Record {
        self.record.as_ref().expect("the record is present until the guard is consumed")
    }
}

impl DerefMut for ActiveRecord {
    #[expect(
        clippy::expect_used,
        reason = "the record leaves only in finish, which consumes the guard, and in drop"
    )]
    fn deref_mut(&mut self) -> &mut Record {
        self.record.as_mut().expect("the record is present until the guard is consumed")
    }
}

impl Drop for ActiveRecord {
    fn drop(&mut self) {
        let end = if std::thread::panicking() { End::Panicked } else { End::Dropped };
        self.hand_over(end);
    }
}
