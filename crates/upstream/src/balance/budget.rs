//! Bounds retries over all requests, so that they cannot multiply an outage.
//!
//! A token bucket: each request puts in a share of a token, each second some whole ones, each retry takes one out.

use std::time::Instant;

use super::RetryBudgetConfig;

/// Tokens that so many seconds bring can be saved up.
const SAVED_SECONDS: f64 = 10.0;
/// Tokens that so many requests bring can be saved up.
const SAVED_REQUESTS: f64 = 100.0;

/// See the module.
#[derive(Debug)]
pub(super) struct RetryBudget {
    per_request: f64,
    per_second: f64,
    capacity: f64,
    tokens: f64,
    filled_at: Instant,
}

impl RetryBudget {
    /// A budget that holds what one second brings.
    pub(super) fn new(config: RetryBudgetConfig, now: Instant) -> RetryBudget {
        let per_request = config.ratio.max(0.0);
        let per_second = f64::from(config.min_per_second);
        let capacity = SAVED_SECONDS * per_second + SAVED_REQUESTS * per_request;
        RetryBudget { per_request, per_second, capacity, tokens: per_second, filled_at: now }
    }

    /// A request came in.
    pub(super) fn deposit(&mut self) {
        self.tokens = (self.tokens + self.per_request).min(self.capacity);
    }

    /// Takes one retry out, if there is one.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.tokens = (self.tokens + seconds * self.per_second).min(self.capacity);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn budget(ratio: f64, min_per_second: u32) -> (RetryBudget, Instant) {
        let now = Instant::now();
        (RetryBudget::new(RetryBudgetConfig { ratio, min_per_second }, now), now)
    }

    fn withdrawn(budget: &mut RetryBudget, now: Instant) -> usize {
        (0..100_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn without_requests_there_are_so_many_retries_per_second() {
        let (mut budget, start) = budget(0.0, 10);
        assert_eq!(withdrawn(&mut budget, start), 10);
        assert_eq!(withdrawn(&mut budget, start + Duration::from_secs(1)), 10);
        assert_eq!(withdrawn(&mut budget, start + Duration::from_millis(1500)), 5);
    }

    #[test]
    fn requests_earn_retries_in_proportion() {
        let (mut budget, start) = budget(0.25, 0);
        assert_eq!(withdrawn(&mut budget, start), 0);
        (0..40).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&mut budget, start), 10);
    }

    #[test]
    fn savings_are_bounded() {
        let (mut budget, start) = budget(0.5, 10);
        (0..1_000_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&mut budget, start + Duration::from_secs(86_400)), 150);
    }

    #[test]
    fn a_budget_of_nothing_gives_nothing() {
        let (mut budget, start) = budget(0.0, 0);
        (0..100).for_each(|_| budget.deposit());
        assert!(!budget.withdraw(start + Duration::from_secs(3600)));
    }
}
