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

    const TOTAL: Duration = Duration::from_secs(600);

    fn timer(connect: Duration) -> PhaseTimer {
        PhaseTimer::start(connect, (Instant::now() + TOTAL).into_std())
    }

    async fn fires(timer: &mut PhaseTimer) -> (UpstreamFaultKind, Duration) {
        let start = Instant::now();
        let kind = poll_fn(|context| timer.poll(context)).await;
        (kind, start.elapsed())
    }

    fn about(measured: Duration, wanted: Duration) -> bool {
        measured >= wanted && measured < wanted + Duration::from_millis(5)
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_fires_as_itself_when_it_is_due() {
        let mut connecting = timer(Duration::from_secs(5));
        let (kind, waited) = fires(&mut connecting).await;
        assert_eq!(kind, UpstreamFaultKind::ConnectTimeout);
        assert!(about(waited, Duration::from_secs(5)), "{waited:?}");

        let mut waiting = timer(Duration::from_secs(5));
        waiting.enter(Phase::FirstToken, Duration::from_secs(120));
        let (kind, waited) = fires(&mut waiting).await;
        assert_eq!(kind, UpstreamFaultKind::FirstTokenTimeout);
        assert!(about(waited, Duration::from_secs(120)), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_phase_after_a_longer_one_fires_when_it_is_due() {
        let mut timer = timer(Duration::from_secs(5));
        timer.enter(Phase::FirstToken, Duration::from_secs(120));
        assert!(tokio::time::timeout(Duration::from_secs(1), fires(&mut timer)).await.is_err());
        timer.enter(Phase::Idle, Duration::from_secs(3));
        let (kind, waited) = fires(&mut timer).await;
        assert_eq!(kind, UpstreamFaultKind::IdleTimeout);
        assert!(about(waited, Duration::from_secs(3)), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_wins_over_a_phase_that_is_due_later() {
        let mut timer = PhaseTimer::start(TOTAL, (Instant::now() + Duration::from_secs(2)).into_std());
        assert_eq!(fires(&mut timer).await.0, UpstreamFaultKind::TotalTimeout);
        assert!(timer.total_has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_time_is_no_limit() {
        let mut timer = timer(Duration::MAX);
        assert_eq!(fires(&mut timer).await.0, UpstreamFaultKind::TotalTimeout);
    }
}
