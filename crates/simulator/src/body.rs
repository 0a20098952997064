//! The body of an answer: a plan's chunks, each at its time, then the plan's ending.
//!
//! Invariant: the visit learns how the answer ended, and a body that hyper drops early means that the client left.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::journal::Visit;
use crate::plan::{Chunk, Ending, Plan};
use crate::traces::OpenSpan;
use crate::wire::Line;

/// Time for the chunks before a cut or a reset to leave the process, since both throw away what is still queued.
const FLUSH: Duration = Duration::from_millis(20);

/// Every body that the simulator sends.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// Ready bytes, chunk by chunk, without a record: the fast mode.
    Ready { chunks: Arc<[Bytes]>, next: usize },
    /// The chunks of a plan.
    Planned(Box<Planned>),
}

/// A plan in the course of being sent.
#[derive(Debug)]
pub(crate) struct Planned {
    plan: Plan,
    visit: Visit,
    span: Option<OpenSpan>,
    line: Arc<Line>,
    started: Instant,
    latest: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    broken: bool,
}

/// The script cut the answer here. hyper closes the connection, or resets the HTTP/2 stream.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the script cut the answer")
    }
}

impl std::error::Error for BrokenOff {}

impl Planned {
    pub(crate) fn new(
        plan: Plan,
        visit: Visit,
        span: Option<OpenSpan>,
        line: Arc<Line>,
        started: Instant,
    ) -> Self {
        Self { plan, visit, span, line, started, latest: Duration::ZERO, sleep: None, broken: false }
    }

    /// The span ends before the last bytes leave, so that it lies within its caller's.
    fn completed(&mut self) {
        if let (Some(span), Some(generation)) = (self.span.take(), &self.plan.generation) {
            span.finish(generation);
        }
        self.visit.completed();
    }

    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_none() && due <= Instant::now() {
            return Poll::Ready(());
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if let Some(chunk) = self.plan.chunks.front() {
            let due = self.started + chunk.due;
            ready!(self.poll_until(due, cx));
        }
        let Some(chunk) = self.plan.chunks.pop_front() else { return self.poll_ending(cx) };
        self.latest = chunk.due;
        self.visit.chunk_sent();
        match &self.plan.ending {
            // hyper need not ask again once it has the announced length.
            Ending::Complete if self.plan.chunks.is_empty() => self.completed(),
            Ending::Repeat(bytes) if self.plan.chunks.is_empty() => {
                let next = Chunk { due: self.latest + self.plan.interval, bytes: bytes.clone() };
                self.plan.chunks.push_back(next);
            }
            _ => {}
        }
        Poll::Ready(Some(Ok(chunk.bytes)))
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        match self.plan.ending {
            Ending::Complete => {
                self.completed();
                Poll::Ready(None)
            }
            // hyper watches the connection meanwhile and drops this body when the client goes.
            Ending::Stall | Ending::Repeat(_) => Poll::Pending,
            Ending::Cut if self.broken => Poll::Ready(None),
            // An end now would be a clean one; the connection is about to go.
            Ending::Reset if self.broken => Poll::Pending,
            Ending::Cut | Ending::Reset => {
                ready!(self.poll_until(Instant::now() + FLUSH, cx));
                self.broken = true;
                self.visit.broken_off();
                if self.plan.ending == Ending::Cut {
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
                self.line.sever();
                Poll::Pending
            }
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Ready { chunks, next } => {
                let chunk = chunks.get(*next).cloned();
                *next += 1;
                Poll::Ready(chunk.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Planned(planned) => {
                planned.poll_chunk(cx).map(|chunk| chunk.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ready { chunks, next } => *next >= chunks.len(),
            Self::Planned(planned) => {
                planned.plan.chunks.is_empty() && planned.plan.ending == Ending::Complete
            }
        }
    }

    /// Known only for one ready chunk. A plan writes its own `content-length`, which may be a lie.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ready { chunks, next: 0 } if chunks.len() == 1 => {
                let length = chunks.first().map_or(0, Bytes::len);
                u64::try_from(length).map(SizeHint::with_exact).unwrap_or_default()
            }
            _ => SizeHint::default(),
        }
    }
}
