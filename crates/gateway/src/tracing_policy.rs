//! How a request's trace begins: the caller's context, and whether the trace is sampled. The same on every door.

use std::sync::Arc;

use trace::content::Capture;
use trace::propagation::{Propagators, TraceContext};
use trace::sampling::{KeepRules, Sampler, UnsampledParent};
use trace::{Clock, Link, Record, RequestFacts, SentContext, Text};

/// How traces begin. Changed at run time as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct TracingPolicy {
    /// The head sampler.
    pub sampler: Sampler,
    /// What an unsampled caller's flag means.
    pub unsampled_parent: UnsampledParent,
    /// What becomes of the caller's context.
    pub trust_incoming: TrustIncoming,
    /// Formats in which trace context is read and sent on.
    pub propagators: Propagators,
    /// Whose position is sent on.
    pub sends: SentContext,
    /// What is kept although the head drops it; `None` for nothing.
    pub keep: Option<Arc<KeepRules>>,
    /// What of prompts and answers some destination wants.
    pub capture: Capture,
    /// Attributes of the operator's own.
    pub attributes: Arc<CustomAttributes>,
}

/// Attributes of the operator's own on every root span, as pairs of attribute name and source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomAttributes {
    /// From headers; header names in lower case.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// From the request's `metadata`.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// Always the same.
    pub constants: Vec<(Arc<str>, Text)>,
}

/// What becomes of the caller's context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustIncoming {
    /// Its span is the parent.
    #[default]
    Parent,
    /// The trace is new and links to it.
    Link,
    /// It is as if there were none.
    Ignore,
}

impl Default for TracingPolicy {
    fn default() -> Self {
        TracingPolicy {
            sampler: Sampler::AlwaysOn,
            unsampled_parent: UnsampledParent::default(),
            trust_incoming: TrustIncoming::default(),
            propagators: Propagators::default(),
            sends: SentContext::default(),
            keep: None,
            capture: Capture::NOTHING,
            attributes: Arc::default(),
        }
    }
}

impl TracingPolicy {
    /// Begins a record: parent or link by trust, sampled by the head decision.
    #[must_use]
    pub fn begin(&self, clock: Clock, incoming: Option<TraceContext>, facts: RequestFacts) -> Record {
        let (parent, link) = match self.trust_incoming {
            TrustIncoming::Parent => (incoming, None),
            TrustIncoming::Link => (None, incoming),
            TrustIncoming::Ignore => (None, None),
        };
        // The verdict needs the trace id, which the record draws.
        let undecided = trace::sampling::SamplingVerdict { sampled: false, reason: "undecided" };
        let mut record = Record::new(clock, parent, undecided, facts);
        record.links.extend(link.map(|context| Link { context }));
        record.propagators = self.propagators;
        record.sends = self.sends;
        record.capture = self.capture;
        // Nothing is kept where sampling is switched off: that is what it is switched off for.
        record.keep = self.keep.clone().filter(|_| self.sampler != Sampler::AlwaysOff);
        record.sampling = self.sampler.decide(record.trace_id, record.parent.as_ref(), self.unsampled_parent);
        record
    }
}

#[cfg(test)]
mod tests {
    use trace::{Door, Text};

    use super::*;

    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn begun(policy: TracingPolicy) -> Record {
        let facts = RequestFacts::new(Text::trusted("r"), Door::Http, "POST", Text::trusted("/"), "/");
        policy.begin(Clock::start(), TraceContext::extract([PARENT], []), facts)
    }

    #[test]
    fn a_trusted_caller_is_the_parent_and_its_flag_counts() {
        let record = begun(TracingPolicy::default());
        assert_eq!(record.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(record.parent.is_some() && record.links.is_empty());
        assert_eq!((record.sampling.sampled, record.sampling.reason), (false, "parent"));
        let ignoring =
            TracingPolicy { unsampled_parent: UnsampledParent::Ignore, ..TracingPolicy::default() };
        assert!(begun(ignoring).sampling.sampled);
    }

    #[test]
    fn records_carry_how_their_trace_goes_on_and_what_is_kept() {
        let keep = Some(Arc::new(KeepRules { blocked: true, ..KeepRules::default() }));
        let propagators = Propagators::new(&[trace::propagation::Propagator::B3]);
        let policy = TracingPolicy { keep: keep.clone(), propagators, ..TracingPolicy::default() };
        let record = begun(policy.clone());
        assert_eq!((record.propagators, record.keep), (propagators, keep));
        let off = TracingPolicy { sampler: Sampler::AlwaysOff, ..policy };
        assert!(begun(off).keep.is_none());
    }

    #[test]
    fn without_tracing_the_callers_position_travels_on_as_it_came() {
        let policy = TracingPolicy { sends: SentContext::Callers, ..TracingPolicy::default() };
        let mut record = begun(policy.clone());
        let span = record.begin(trace::Stage::UpstreamRequest);
        let sent = record.send_under(span).map(|context| context.traceparent());
        assert_eq!(sent.as_deref().map(str::as_bytes), Some(PARENT));
        let facts = RequestFacts::new(Text::trusted("r"), Door::Http, "POST", Text::trusted("/"), "/");
        let mut alone = policy.begin(Clock::start(), None, facts);
        let span = alone.begin(trace::Stage::UpstreamRequest);
        assert_eq!(alone.send_under(span), None);
    }

    #[test]
    fn another_caller_is_a_link_or_nothing_and_its_flag_does_not_count() {
        for (trust_incoming, links) in [(TrustIncoming::Link, 1), (TrustIncoming::Ignore, 0)] {
            let record = begun(TracingPolicy { trust_incoming, ..TracingPolicy::default() });
            assert_ne!(record.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert!(record.parent.is_none() && record.sampling.sampled);
            assert_eq!(record.links.len(), links);
        }
    }
}
