//! One request's record: ids, W3C propagation, timings, findings, and the semantic conventions as pure
//! mappings from them.
//!
//! Every request owns one [`Record`]. Stages write typed findings into it; spans, metrics, log lines, the
//! terminal tree and the audit line are computed from it afterwards. This crate knows no exporter, no
//! protocol and no runtime.
//!
//! Invariant: text from outside enters a record only through [`Text`], which bounds and redacts it; prompts and answers
//! only where they are wanted, through [`content::Content`], which also hides personal data.

mod clock;
mod ids;
mod record;
mod span;
mod text;

pub mod content;
pub mod finding;
pub mod propagation;
pub mod sampling;
pub mod semconv;

pub use clock::{Clock, Timed};
pub use ids::{SpanId, TraceId};
pub use record::{ActiveRecord, Door, Observed, Record, RecordSink, RequestFacts, RootFault, SentContext};
pub use span::{
    Event, EventKind, Link, MAX_EVENTS, ROOT_SPAN_NAME, Span, SpanIndex, SpanKind, SpanStatus, Stage,
    StageFailure,
};
pub use text::{MAX_BYTES as MAX_TEXT_BYTES, REDACTED, Text, redact};
