//! Spans of a record: which stage, when, how it ended, and what it found.

use std::borrow::Cow;

use crate::finding::Finding;
use crate::propagation::TraceContext;
use crate::{SpanId, Text};

/// The stages of the pipeline. A stage, its span and its file share one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// What the prompt is about.
    Classification,
    /// Personal data in the prompt.
    PiiDetection,
    /// Attempts to turn the model against its instructions.
    JailbreakDetection,
    /// Whether the answer is known.
    CacheLookup,
    /// Which model answers, and whether it reasons.
    RoutingDecision,
    /// Which endpoint of the model takes the attempt.
    BackendSelection,
    /// The edit of the system prompt.
    SystemPromptInjection,
    /// One attempt at one endpoint.
    UpstreamRequest,
    /// Checks on the answer, unmasking, token and cost accounting.
    ResponseProcessing,
    /// Remembering the answer.
    CacheStore,
}

impl Stage {
    /// All stages, in the order in which a request passes them.
    pub const ALL: [Stage; 10] = [
        Stage::Classification,
        Stage::PiiDetection,
        Stage::JailbreakDetection,
        Stage::CacheLookup,
        Stage::RoutingDecision,
        Stage::BackendSelection,
        Stage::SystemPromptInjection,
        Stage::UpstreamRequest,
        Stage::ResponseProcessing,
        Stage::CacheStore,
    ];

    /// The span's name.
    pub fn span_name(self) -> &'static str {
        match self {
            Stage::Classification => "semantic_router.classification",
            Stage::PiiDetection => "semantic_router.security.pii_detection",
            Stage::JailbreakDetection => "semantic_router.security.jailbreak_detection",
            Stage::CacheLookup => "semantic_router.cache.lookup",
            Stage::RoutingDecision => "semantic_router.routing.decision",
            Stage::BackendSelection => "semantic_router.backend.selection",
            Stage::SystemPromptInjection => "semantic_router.system_prompt.injection",
            Stage::UpstreamRequest => "semantic_router.upstream.request",
            Stage::ResponseProcessing => "semantic_router.response.processing",
            Stage::CacheStore => "semantic_router.cache.store",
        }
    }

    /// The span's kind: everything is internal but the call to a backend.
    pub fn kind(self) -> SpanKind {
        match self {
            Stage::UpstreamRequest => SpanKind::Client,
            _ => SpanKind::Internal,
        }
    }
}

/// The name of the root span.
pub const ROOT_SPAN_NAME: &str = "semantic_router.request.received";

/// OpenTelemetry's span kinds, as far as the router uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// The root: a request served.
    Server,
    /// A request made.
    Client,
    /// Work within the process.
    Internal,
}

impl SpanKind {
    /// Upper-case name, as the terminal formats and span metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanKind::Server => "SERVER",
            SpanKind::Client => "CLIENT",
            SpanKind::Internal => "INTERNAL",
        }
    }
}

/// OpenTelemetry's span status; `Ok` is never set by us, as the specification reserves it for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing to report.
    #[default]
    Unset,
    /// A fault, with its low-cardinality type (`error.type`) and a sentence for people.
    Error {
        /// Value of `error.type`: a code of the API, an HTTP status, or a transport fault's name.
        kind: Cow<'static, str>,
        /// What happened.
        description: Text,
    },
}

/// An optional stage that failed, and what its `on_failure` setting then did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageFailure {
    /// Low-cardinality type.
    pub kind: &'static str,
    /// What happened.
    pub description: Text,
    /// `skip` or `refuse`.
    pub then: &'static str,
}

/// Something that happened at a moment within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds after the root's start.
    pub at_ns: u64,
    /// What happened.
    pub kind: EventKind,
}

/// The events that the contract names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The first chunk with content came from the backend.
    FirstToken,
    /// The client went away.
    ClientDisconnected,
    /// The answer ended early, and the door cannot see which side ended it: the client left, or the backend broke.
    CutShort,
    /// The attempt failed and another follows.
    UpstreamRetry {
        /// Why: an error type or a status.
        reason: Cow<'static, str>,
    },
    /// A fault, in OpenTelemetry's form.
    Exception {
        /// `exception.type`.
        kind: Cow<'static, str>,
        /// `exception.message`.
        message: Text,
    },
}

impl EventKind {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::FirstToken => "semantic_router.first_token",
            EventKind::ClientDisconnected => "client.disconnected",
            EventKind::CutShort => "semantic_router.cut_short",
            EventKind::UpstreamRetry { .. } => "upstream.retry",
            EventKind::Exception { .. } => "exception",
        }
    }
}

/// A link to a span of another trace, such as the one that made a cache entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it points.
    pub context: TraceContext,
}

/// A child of the root.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id; the upstream span's is what travels on in `traceparent`.
    pub id: SpanId,
    /// Which stage it is.
    pub stage: Stage,
    /// Nanoseconds from the root's start to its start.
    pub start_ns: u64,
    /// Nanoseconds from the root's start to its end; `None` while it is open.
    pub end_ns: Option<u64>,
    /// How it ended.
    pub status: SpanStatus,
    /// What it found.
    pub finding: Finding,
    /// What happened within it, in order; at most [`MAX_EVENTS`].
    pub events: Vec<Event>,
    /// How many more happened than were kept.
    pub dropped_events: u32,
    /// Where it points.
    pub links: Vec<Link>,
    /// Set when the stage itself failed.
    pub failure: Option<StageFailure>,
    /// Set when the request was dropped while this span was open.
    pub cancelled: bool,
}

/// OpenTelemetry's default limit of events per span.
pub const MAX_EVENTS: usize = 128;

impl Span {
    /// Length in nanoseconds; 0 while the span is open.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.map_or(0, |end| end.saturating_sub(self.start_ns))
    }

    /// Adds an event, or counts it if the span has [`MAX_EVENTS`] already.
    pub fn push_event(&mut self, at_ns: u64, kind: EventKind) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(Event { at_ns, kind });
        } else {
            self.dropped_events = self.dropped_events.saturating_add(1);
        }
    }
}

/// Names a span of one record while it is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIndex(pub(crate) usize);
