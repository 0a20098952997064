//! Which traces go to sampled destinations: the decision at the root.
//!
//! Every request is recorded and counted; sampling only filters what exporters get. Later additions (keep
//! rules, an adaptive rate) extend [`SamplingVerdict`] and change nothing for those who read it.

use crate::TraceId;
use crate::propagation::{TraceContext, TraceFlags};

/// A head sampler.
#[derive(Clone, Copy, Debug, PartialEq)]
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
            (_, Some(_)) if unsampled == UnsampledParent::Respect => {
                SamplingVerdict { sampled: false, reason: "parent" }
            }
            (Sampler::AlwaysOn, _) => SamplingVerdict { sampled: true, reason: "always_on" },
            (Sampler::Probabilistic { rate }, _) => {
                SamplingVerdict { sampled: within(trace_id, *rate), reason: "probabilistic" }
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
}
