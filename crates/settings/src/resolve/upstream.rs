//! Timeouts, failover, retries, ejection.

use std::time::Duration;

use crate::check::upstream::{RetryBudget, Timeouts, Upstream};
use crate::defaults;
use crate::raw::upstream as raw;
use crate::report::Report;

/// The timeouts when nothing is said.
pub(super) fn default_timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(defaults::CONNECT_MS),
        first_token: Duration::from_millis(defaults::FIRST_TOKEN_MS),
        idle: Duration::from_millis(defaults::IDLE_MS),
        total: Duration::from_millis(defaults::TOTAL_MS),
    }
}

/// What `raw` says over `base`.
pub(super) fn timeouts(raw: Option<&raw::Timeouts>, base: Timeouts) -> Timeouts {
    let Some(raw) = raw else { return base };
    let over = |written: Option<u64>, base: Duration| written.map_or(base, Duration::from_millis);
    Timeouts {
        connect: over(raw.connect_ms, base.connect),
        first_token: over(raw.first_token_ms, base.first_token),
        idle: over(raw.idle_ms, base.idle),
        total: over(raw.total_ms, base.total),
    }
}

pub(super) fn resolve(raw: &raw::Upstream, report: &mut Report) -> Upstream {
    let failover = raw.failover.as_ref();
    let budget = failover.and_then(|failover| failover.retry_budget.as_ref());
    let ejection = raw.ejection.as_ref();
    Upstream {
        failover_statuses: statuses(failover.and_then(|failover| failover.statuses.as_deref()), report),
        attempts: failover.and_then(|failover| failover.attempts).unwrap_or(defaults::ATTEMPTS),
        retry_budget: RetryBudget {
            ratio: budget.and_then(|budget| budget.ratio).unwrap_or(defaults::RETRY_RATIO),
            min_per_second: budget
                .and_then(|budget| budget.min_per_second)
                .unwrap_or(defaults::RETRY_MIN_PER_SECOND),
        },
        eject_after_failures: ejection
            .and_then(|ejection| ejection.after_failures)
            .unwrap_or(defaults::EJECT_AFTER_FAILURES),
        eject_for: Duration::from_millis(
            ejection.and_then(|ejection| ejection.for_ms).unwrap_or(defaults::EJECT_MS),
        ),
    }
}

fn statuses(raw: Option<&[u16]>, report: &mut Report) -> Vec<u16> {
    let mut statuses = raw.unwrap_or(&defaults::FAILOVER_STATUSES).to_vec();
    for (index, status) in statuses.iter().enumerate().filter(|(_, status)| !(400..=599).contains(*status)) {
        let path = format!("upstream.failover.statuses[{index}]");
        report.error(&path, format!("{status} is not a status of a failure; those are 400 to 599"));
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}
