//! The body of a forwarded answer: what the backend sends goes through the exchange and on to the client at once.
//!
//! It waits for nothing but the backend, and reads no further than the client takes. Invariant: it owns the exchange;
//! whoever drops it ends the request, whole if the answer had ended, cancelled if not.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame};
use pipeline::exchange::{Exchange, Lost, UpstreamFault};
use upstream::AnswerBody;

use crate::answers::{is_last_word, join};
use crate::in_flight::Ticket;

/// The answer broke off; the connection has to be aborted, so that the client sees that it is not whole.
#[derive(Debug)]
pub(crate) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the backend's answer broke off")
    }
}

impl std::error::Error for BrokenOff {}

/// See the module.
pub(crate) struct AnswerStream {
    backend: AnswerBody,
    exchange: Box<Exchange>,
    ticket: Ticket,
    /// Bytes that came before the head went out.
    first: Option<Bytes>,
    /// Bytes that are left to give after the backend's end.
    last: Option<Bytes>,
    state: State,
    /// Bytes that the announced length still promises.
    remaining: Option<u64>,
    /// When the last bytes were given to the connection.
    given: Option<Instant>,
    last_word: LastWord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    /// To be aborted, once the connection has had a turn to send what it was given: the error drops what it still holds,
    /// the head with the trace's id among it.
    Aborting,
    Aborted,
}

/// Whether the stream has said that it is over. A client may leave on it, before the connection says so too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastWord {
    Unsaid,
    Said,
}

/// Shorter waits are the connection's ordinary business and not a client that is slow.
const LEAST_STALL: Duration = Duration::from_millis(1);

impl AnswerStream {
    /// Goes on with an answer whose first bytes have come already; without any it has ended. `length` is the body's
    /// announced length, where it stays true.
    pub(crate) fn new(
        backend: AnswerBody,
        exchange: Box<Exchange>,
        ticket: Ticket,
        first: Option<Bytes>,
        length: Option<u64>,
    ) -> AnswerStream {
        let mut stream = AnswerStream {
            backend,
            exchange,
            ticket,
            first,
            last: None,
            state: State::Reading,
            remaining: length,
            given: None,
            last_word: LastWord::Unsaid,
        };
        if stream.first.is_none() {
            // The connection may never ask for a body that has no bytes, so that its end is noted at once.
            stream.last = stream.end();
        }
        stream
    }

    /// The next bytes from the backend.
    fn poll_backend(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        // Since when the connection had no room: it asks again at once while it has.
        let since = self.given.take();
        let frame = ready!(Pin::new(&mut self.backend).poll_frame(context));
        if let Some(since) = since.filter(|since| since.elapsed() >= LEAST_STALL) {
            self.note_stall(since);
        }
        Poll::Ready(frame)
    }

    /// The client made the backend's bytes wait.
    fn note_stall(&mut self, since: Instant) {
        let waited_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(record) = self.exchange.record_mut() {
            record.client_wait_ns = record.client_wait_ns.saturating_add(waited_ns);
        }
        self.exchange.stalled_by_client(since);
    }

    /// Bytes go to the client through the exchange, which may hold them back.
    fn pass(&mut self, chunk: Bytes) -> Option<Bytes> {
        let emitted = self.exchange.chunk(chunk);
        if let (Some(remaining), Some(emitted)) = (&mut self.remaining, &emitted) {
            *remaining = remaining.saturating_sub(emitted.len() as u64);
        }
        // A body of known length is not asked for its end, so that the end has to be seen with the last bytes.
        if self.backend.is_end() || self.remaining == Some(0) {
            return join(emitted, self.end());
        }
        emitted
    }

    fn end(&mut self) -> Option<Bytes> {
        self.state = State::Ended;
        self.exchange.end()
    }

    fn give(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.ticket.went_out(bytes.len());
        if is_last_word(&bytes) {
            self.last_word = LastWord::Said;
        }
        self.given = Some(Instant::now());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        if let Some(last) = this.last.take() {
            return this.give(last);
        }
        loop {
            match this.state {
                State::Ended => return Poll::Ready(None),
                State::Aborting => {
                    this.state = State::Aborted;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Aborted => return Poll::Ready(Some(Err(BrokenOff))),
                State::Reading => {}
            }
            let bytes = match ready!(this.poll_backend(context)) {
                Some(Ok(chunk)) => this.pass(chunk),
                None => this.end(),
                Some(Err(fault)) => match this.exchange.lost(fault) {
                    Lost::Break(frame) => {
                        this.state = State::Ended;
                        Some(frame)
                    }
                    Lost::Abort | Lost::Retry | Lost::Refuse(_) => {
                        this.state = State::Aborting;
                        None
                    }
                },
            };
            if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
                return this.give(bytes);
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Ended && self.last.is_none()
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        if self.state == State::Reading && self.last_word == LastWord::Said {
            // Nothing is left to send: the exchange ends as one that was heard to its end.
            let _ = self.exchange.end();
        }
    }
}
