//! The limits of one call, on one timer.
//!
//! A call is in one phase at a time: connecting, waiting for the first byte, waiting for the next. Entering a phase
//! only notes when it is due. The timer itself is moved when the due time comes nearer, or when it has fired too early,
//! so that a stream of a thousand chunks costs no timer operation per chunk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pipeline::exchange::UpstreamFaultKind;
use tokio::time::{Instant, Sleep};

/// What a call is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// An open connection.
    Connecting,
    /// The first byte of the answer's body.
    FirstToken,
    /// The next chunk.
    Idle,
}

/// Fires when the phase or the whole call has taken too long.
#[derive(Debug)]
pub(crate) struct PhaseTimer {
    sleep: Pin<Box<Sleep>>,
    phase: Phase,
    phase_due: Instant,
    /// When the request as a whole is due, other attempts included.
    total_due: Instant,
}

impl PhaseTimer {
    /// A timer for a call that begins to connect now.
    pub(crate) fn start(connect: Duration, total_due: std::time::Instant) -> PhaseTimer {
        let total_due = Instant::from_std(total_due);
        let phase_due = after(connect, total_due);
        let sleep = Box::pin(tokio::time::sleep_until(phase_due.min(total_due)));
        PhaseTimer { sleep, phase: Phase::Connecting, phase_due, total_due }
    }

    /// The phase that the call is in.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Begins a phase, now.
    pub(crate) fn enter(&mut self, phase: Phase, limit: Duration) {
        self.phase = phase;
        self.phase_due = after(limit, self.total_due);
    }

    /// Whether the request as a whole has taken too long. A source that is always ready never waits for the timer.
    pub(crate) fn total_has_passed(&self) -> bool {
        Instant::now() >= self.total_due
    }

    /// Ready when something took too long, with what it was.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<UpstreamFaultKind> {
        let due = self.phase_due.min(self.total_due);
        if due < self.sleep.deadline() {
            self.sleep.as_mut().reset(due);
        }
        ready!(self.sleep.as_mut().poll(context));
        while Instant::now() < due {
            self.sleep.as_mut().reset(due);
            ready!(self.sleep.as_mut().poll(context));
        }
        if self.total_due <= self.phase_due {
            return Poll::Ready(UpstreamFaultKind::TotalTimeout);
        }
        Poll::Ready(match self.phase {
            Phase::Connecting => UpstreamFaultKind::ConnectTimeout,
            Phase::FirstToken => UpstreamFaultKind::FirstTokenTimeout,
            Phase::Idle => UpstreamFaultKind::IdleTimeout,
        })
    }
}

/// `limit` from now, at most `latest`: also where the sum would overflow.
fn after(limit: Duration, latest: Instant) -> Instant {
    Instant::now().checked_add(limit).map_or(latest, |due| due.min(latest))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(600);

    fn timer(connect: Duration, total: Duration) -> PhaseTimer {
        PhaseTimer::start(connect, (Instant::now() + total).into_std())
    }

    /// What fires, after the short time and long before the long one.
    async fn fires(timer: &mut PhaseTimer) -> UpstreamFaultKind {
        let start = Instant::now();
        let kind = tokio::time::timeout(LONG / 10, poll_fn(|context| timer.poll(context))).await.unwrap();
        assert!(start.elapsed() >= SHORT - Duration::from_millis(2));
        kind
    }

    #[tokio::test]
    async fn a_phase_that_is_due_fires_as_itself() {
        let mut timer = timer(SHORT, LONG);
        assert_eq!(fires(&mut timer).await, UpstreamFaultKind::ConnectTimeout);
        timer.enter(Phase::FirstToken, SHORT);
        assert_eq!(fires(&mut timer).await, UpstreamFaultKind::FirstTokenTimeout);
        timer.enter(Phase::Idle, SHORT);
        assert_eq!(fires(&mut timer).await, UpstreamFaultKind::IdleTimeout);
    }

    #[tokio::test]
    async fn a_longer_phase_outlives_the_timer_of_a_shorter_one() {
        let mut timer = timer(SHORT, LONG);
        timer.enter(Phase::FirstToken, LONG);
        let waiting = tokio::time::timeout(2 * SHORT, poll_fn(|context| timer.poll(context)));
        assert!(waiting.await.is_err());
        timer.enter(Phase::Idle, SHORT);
        assert_eq!(fires(&mut timer).await, UpstreamFaultKind::IdleTimeout);
    }

    #[tokio::test]
    async fn the_whole_wins_over_a_phase_that_is_due_later() {
        let mut timer = timer(LONG, SHORT);
        assert!(!timer.total_has_passed());
        assert_eq!(fires(&mut timer).await, UpstreamFaultKind::TotalTimeout);
        assert!(timer.total_has_passed());
    }

    #[tokio::test]
    async fn a_limit_beyond_all_time_is_no_limit() {
        let mut timer = timer(Duration::MAX, SHORT);
        assert_eq!(fires(&mut timer).await, UpstreamFaultKind::TotalTimeout);
    }
}
