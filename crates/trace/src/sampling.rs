//! Which traces go to sampled destinations: the decision at the root.
//!
//! Every request is recorded and counted; sampling only filters what exporters get. The head decides at the root, and its
//! decision is the flag that travels on; [`KeepRules`] then keep what the head dropped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::finding::{Finding, SecurityAction};
use crate::propagation::{TraceContext, TraceFlags};
use crate::{Record, Span, Stage, TraceId};

mod adaptive;

pub use adaptive::AdaptiveRate;

/// A head sampler.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampler {
    /// Every trace.
    AlwaysOn,
    /// No trace.
    AlwaysOff,
    /// A share of the traces, decided on the trace id so that replicas agree.
    Probabilistic {
        /// 0 to 1.
        rate: f64,
    },
    /// A share that follows the traffic, so that about as many traces per second are sampled as are wanted.
    Adaptive(Arc<AdaptiveRate>),
}

/// What an unsampled caller's flag means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsampledParent {
    /// The trace is not sampled here either.
    #[default]
    Respect,
    /// The sampler decides as if there were no parent.
    Ignore,
}

/// The decision and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamplingVerdict {
    /// Whether sampled destinations get the trace.
    pub sampled: bool,
    /// Who decided: `always_on`, `always_off`, `probabilistic`, `parent`.
    pub reason: &'static str,
}

impl Sampler {
    /// Decides for a trace, given the caller's context if the trace was continued.
    pub fn decide(
        &self,
        trace_id: TraceId,
        parent: Option<&TraceContext>,
        unsampled: UnsampledParent,
    ) -> SamplingVerdict {
        match (self, parent) {
            (Sampler::AlwaysOff, _) => SamplingVerdict { sampled: false, reason: "always_off" },
            (_, Some(context)) if context.flags.sampled() => {
                SamplingVerdict { sampled: true, reason: "parent" }
            }
            (_, Some(context)) if !context.deferred && unsampled == UnsampledParent::Respect => {
                SamplingVerdict { sampled: false, reason: "parent" }
            }
            (Sampler::AlwaysOn, _) => SamplingVerdict { sampled: true, reason: "always_on" },
            (Sampler::Probabilistic { rate }, _) => {
                SamplingVerdict { sampled: within(trace_id, *rate), reason: "probabilistic" }
            }
            (Sampler::Adaptive(rate), _) => {
                SamplingVerdict { sampled: within(trace_id, rate.count(Instant::now())), reason: "adaptive" }
            }
        }
    }
}

impl SamplingVerdict {
    /// The flags to send on: the decision, and the random bit as the caller had it or set on our own ids.
    pub fn flags(self, parent: Option<&TraceContext>) -> TraceFlags {
        let random = parent.is_none_or(|context| context.flags.random());
        TraceFlags::new(self.sampled, random)
    }
}

/// Which traces are kept although the head decision drops them. For the router's own spans, also under a caller that does
/// not sample; it costs nothing but the look at a record that is there anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepRules {
    /// Requests that failed, by the router's fault or a backend's.
    pub errors: bool,
    /// Requests that a policy blocked.
    pub blocked: bool,
    /// Requests that took at least so long.
    pub slow: Option<Duration>,
    /// Requests with a second attempt.
    pub retries: bool,
    /// Requests that the cache could not answer.
    pub cache_misses: bool,
    /// Requests with one of these custom attributes.
    pub attributes: Vec<(Arc<str>, Arc<str>)>,
}

impl KeepRules {
    /// The rule that keeps a trace by what is known before anything is forwarded: then the flag sent on can say so.
    pub fn early(&self, record: &Record) -> Option<&'static str> {
        let missed = |span: &Span| matches!(&span.finding, Finding::CacheLookup(found) if !found.hit);
        if self.cache_misses && record.spans().iter().any(missed) {
            return Some("keep_cache_miss");
        }
        let custom = &record.request.custom;
        let wanted =
            |key: &str, value: &str| self.attributes.iter().any(|(k, v)| **k == *key && **v == *value);
        custom.iter().any(|(key, value)| wanted(key, value.as_str())).then_some("keep_attribute")
    }

    /// The rule that keeps a trace by how it ended.
    pub fn late(&self, record: &Record) -> Option<&'static str> {
        let attempts = || record.spans().iter().filter(|span| span.stage == Stage::UpstreamRequest).count();
        let blocked = || {
            record.spans().iter().any(|span| match &span.finding {
                Finding::JailbreakDetection(found) => found.action == SecurityAction::Blocked,
                Finding::PiiDetection(found) => found.action == SecurityAction::Blocked,
                _ => false,
            }) || record.refusal == Some("request_blocked")
        };
        let slow = |limit: Duration| u128::from(record.duration_ns) >= limit.as_nanos();
        match () {
            () if self.errors && record.fault.is_some() => Some("keep_error"),
            () if self.blocked && blocked() => Some("keep_blocked"),
            () if self.retries && attempts() > 1 => Some("keep_retry"),
            () if self.slow.is_some_and(slow) => Some("keep_slow"),
            () => self.early(record),
        }
    }
}

/// The consistent comparison of OpenTelemetry's probability sampling: the trace is in when its 56 random bits
/// are at or above the rejection threshold `(1 - rate) * 2^56`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the product lies within 0 and 2^56"
)]
fn within(trace_id: TraceId, rate: f64) -> bool {
    const RANGE: f64 = (1_u64 << 56) as f64;
    let threshold = ((1.0 - rate.clamp(0.0, 1.0)) * RANGE) as u64;
    trace_id.randomness() >= threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_keeps_its_share_and_agrees_with_itself() {
        let sampler = Sampler::Probabilistic { rate: 0.1 };
        let ids: Vec<TraceId> = (0..20_000).map(|_| TraceId::random()).collect();
        let kept = |ids: &[TraceId]| {
            ids.iter().filter(|id| sampler.decide(**id, None, UnsampledParent::Respect).sampled).count()
        };
        let share = kept(&ids);
        assert!((1700..2300).contains(&share), "{share} of 20000 at rate 0.1");
        assert_eq!(share, kept(&ids));
        let all = Sampler::Probabilistic { rate: 1.0 };
        assert!(ids.iter().all(|id| all.decide(*id, None, UnsampledParent::Respect).sampled));
        let none = Sampler::Probabilistic { rate: 0.0 };
        assert!(!ids.iter().any(|id| none.decide(*id, None, UnsampledParent::Respect).sampled));
    }

    #[test]
    fn a_caller_that_leaves_it_open_gets_the_samplers_decision() {
        let id = TraceId::random();
        let span = crate::SpanId::random();
        let unsampled = TraceContext::new(id, span, TraceFlags::new(false, false));
        let deferring = TraceContext { deferred: true, ..unsampled.clone() };
        let decide = |sampler: &Sampler, parent| sampler.decide(id, Some(parent), UnsampledParent::Respect);
        let by = |sampled, reason| SamplingVerdict { sampled, reason };
        assert_eq!(decide(&Sampler::AlwaysOn, &unsampled), by(false, "parent"));
        assert_eq!(decide(&Sampler::AlwaysOn, &deferring), by(true, "always_on"));
        assert_eq!(decide(&Sampler::AlwaysOff, &deferring), by(false, "always_off"));
        let none = Sampler::Probabilistic { rate: 0.0 };
        assert_eq!(decide(&none, &deferring), by(false, "probabilistic"));
    }
}
