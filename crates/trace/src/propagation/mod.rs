//! How a position in a trace travels: W3C Trace Context, level 2 (<https://www.w3.org/TR/trace-context-2/>), read
//! strictly and written exactly, and the older formats that some callers still speak.

mod b3;
pub mod baggage;
mod jaeger;
mod propagators;
mod traceparent;
mod tracestate;

pub use propagators::{HeaderValues, Propagator, Propagators};
pub use tracestate::TraceState;

use crate::{SpanId, TraceId};

/// The trace flags that level 2 defines; others are cleared when read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    const SAMPLED: u8 = 0x01;
    const RANDOM: u8 = 0x02;

    /// Flags from their two meanings.
    pub fn new(sampled: bool, random: bool) -> TraceFlags {
        let sampled = if sampled { TraceFlags::SAMPLED } else { 0 };
        let random = if random { TraceFlags::RANDOM } else { 0 };
        TraceFlags(sampled | random)
    }

    /// Keeps the known bits of a byte.
    pub fn from_byte(byte: u8) -> TraceFlags {
        TraceFlags(byte & (TraceFlags::SAMPLED | TraceFlags::RANDOM))
    }

    /// Bit 0: the caller may have recorded the trace.
    pub fn sampled(self) -> bool {
        self.0 & TraceFlags::SAMPLED != 0
    }

    /// Bit 1: the low 56 bits of the trace id are random.
    pub fn random(self) -> bool {
        self.0 & TraceFlags::RANDOM != 0
    }

    /// The byte to send.
    pub fn byte(self) -> u8 {
        self.0
    }
}

/// A position in a trace: what travels in `traceparent` and `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that is the parent of what follows.
    pub span_id: SpanId,
    /// The flags.
    pub flags: TraceFlags,
    /// Vendors' state; empty if there is none.
    pub state: TraceState,
    /// The caller left sampling to whoever reads this, as B3 does without a state: the flags say nothing of it.
    pub deferred: bool,
}

impl TraceContext {
    /// A context without vendors' state.
    pub fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> TraceContext {
        TraceContext { trace_id, span_id, flags, state: TraceState::default(), deferred: false }
    }

    /// Reads the caller's context: all values of `traceparent` and all of `tracestate`, in the order received.
    /// `None` unless there is exactly one valid `traceparent`; a bad `tracestate` is dropped on its own.
    pub fn extract<'a>(
        traceparent: impl IntoIterator<Item = &'a [u8]>,
        tracestate: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<TraceContext> {
        let mut values = traceparent.into_iter();
        let (Some(only), None) = (values.next(), values.next()) else { return None };
        let mut context = traceparent::parse(only)?;
        context.state = TraceState::parse(tracestate).unwrap_or_default();
        Some(context)
    }

    /// The value of `traceparent`, version 00.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags.byte())
    }
}
