//! One of several candidates: pure functions of the candidates and a number.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic;

use pipeline::policy::Endpoint;

use super::Strategy;
use super::state::EndpointState;

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// An endpoint that could take the attempt.
pub(super) struct Candidate<'a> {
    pub(super) endpoint: &'a Arc<Endpoint>,
    pub(super) state: Arc<EndpointState>,
    pub(super) ejected: bool,
}

/// How the choice is made, once it is clear among whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolved {
    Weighted,
    LeastBusy,
}

/// A number in [0, 1), in units of 2^-64.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance(u64);

impl Chance {
    /// The number of the `ticket`-th attempt.
    pub(super) fn of_ticket(ticket: u64) -> Chance {
        Chance(ticket.wrapping_mul(GOLDEN))
    }

    /// The number times `count`, rounded down: below `count`, unless that is 0.
    fn below(self, count: u64) -> u64 {
        let product = u128::from(self.0) * u128::from(count);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }
}

impl Resolved {
    /// Value of `endpoint.strategy`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Resolved::Weighted => "weighted",
            Resolved::LeastBusy => "least_busy",
        }
    }
}

impl Candidate<'_> {
    /// Whether all its capacity is taken.
    pub(super) fn is_busy(&self) -> bool {
        self.endpoint.max_parallel.is_some_and(|limit| self.in_flight() >= limit)
    }

    fn in_flight(&self) -> usize {
        self.state.in_flight.load(atomic::Ordering::Acquire)
    }

    /// Its weight; where only endpoints of weight 0 are left, all are equal.
    fn weight(&self) -> u64 {
        u64::from(self.endpoint.weight.max(1))
    }
}

/// How a strategy chooses among the endpoints of a model, whichever of them are left.
pub(super) fn resolve(strategy: Strategy, endpoints: &[Arc<Endpoint>]) -> Resolved {
    match strategy {
        Strategy::Weighted => Resolved::Weighted,
        Strategy::LeastBusy => Resolved::LeastBusy,
        Strategy::Automatic => {
            let mut weights = endpoints.iter().map(|endpoint| endpoint.weight).filter(|weight| *weight > 0);
            let first = weights.next();
            if weights.all(|weight| Some(weight) == first) { Resolved::LeastBusy } else { Resolved::Weighted }
        }
    }
}

/// The index of the one that takes the attempt; `None` without candidates.
pub(super) fn choose(strategy: Resolved, candidates: &[Candidate<'_>], chance: Chance) -> Option<usize> {
    match (candidates.len(), strategy) {
        (0, _) => None,
        (1, _) => Some(0),
        (_, Resolved::Weighted) => by_weight(candidates, |_| true, chance),
        (_, Resolved::LeastBusy) => {
            let loads: Vec<Load> = candidates.iter().map(Load::of).collect();
            let least = loads.iter().min_by(|left, right| left.compare(right))?;
            by_weight(candidates, |index| loads[index].compare(least) == Ordering::Equal, chance)
        }
    }
}

/// Attempts in flight, this one included, for a weight.
struct Load {
    attempts: u64,
    weight: u64,
}

impl Load {
    fn of(candidate: &Candidate<'_>) -> Load {
        let in_flight = u64::try_from(candidate.in_flight()).unwrap_or(u64::MAX);
        Load { attempts: in_flight.saturating_add(1), weight: candidate.weight() }
    }

    /// By attempts per weight, without dividing.
    fn compare(&self, other: &Load) -> Ordering {
        let left = u128::from(self.attempts) * u128::from(other.weight);
        left.cmp(&(u128::from(other.attempts) * u128::from(self.weight)))
    }
}

/// One of those that are `eligible`, each with its weight as its share of all chances.
fn by_weight(
    candidates: &[Candidate<'_>],
    eligible: impl Fn(usize) -> bool,
    chance: Chance,
) -> Option<usize> {
    let shares = || candidates.iter().enumerate().filter(|(index, _)| eligible(*index));
    let total = shares().map(|(_, candidate)| candidate.weight()).sum();
    let mut left = chance.below(total);
    for (index, candidate) in shares() {
        if left < candidate.weight() {
            return Some(index);
        }
        left -= candidate.weight();
    }
    None
}
