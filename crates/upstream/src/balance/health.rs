//! When an endpoint is left out, and how it comes back.
//!
//! Failures in a row eject it for a time. After that it is on trial: one attempt is let through, and while that one is
//! out the endpoint counts as ejected still. An answer ends the trial, a failure ejects anew, and a trial of which
//! nothing is heard (its client left) is followed by another one.

use std::time::{Duration, Instant};

/// What it takes to be ejected.
#[derive(Debug, Clone, Copy)]
pub(super) struct EjectionLimits {
    /// Failures in a row; 0 means never.
    pub(super) after_failures: u32,
    /// For how long.
    pub(super) lasting: Duration,
}

/// How an endpoint has fared since it last answered.
#[derive(Debug, Default)]
pub(super) struct Health {
    consecutive_failures: u32,
    /// In the past when a trial is due.
    ejected_until: Option<Instant>,
}

impl Health {
    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until.is_some_and(|until| now < until)
    }

    /// An attempt begins. If the ejection is over, this is the trial.
    pub(super) fn begin(&mut self, now: Instant, trial: Duration) {
        if self.ejected_until.is_some_and(|until| until <= now) {
            self.ejected_until = Some(far(now, trial));
        }
    }

    pub(super) fn answered(&mut self) {
        *self = Health::default();
    }

    pub(super) fn failed(&mut self, limits: EjectionLimits, now: Instant) {
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        if limits.after_failures > 0 && self.consecutive_failures >= limits.after_failures {
            self.ejected_until = Some(far(now, limits.lasting));
        }
    }

    /// Failures since the last answer.
    pub(super) fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// Until when it is left out; in the past when a trial is due.
    pub(super) fn ejected_until(&self) -> Option<Instant> {
        self.ejected_until
    }
}

/// `lasting` from now, or now where the sum would overflow: an endpoint must not be lost by a setting.
fn far(now: Instant, lasting: Duration) -> Instant {
    now.checked_add(lasting).unwrap_or(now)
}
