//! The body of an answer, chunk by chunk, as it comes.
//!
//! It does not collect and does not count: how much is too much is for whoever reads. Invariant: after a fault or the
//! end it holds no connection any more, and says nothing but `None`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use pipeline::exchange::{UpstreamFault, UpstreamFaultKind};
use pipeline::policy::Endpoint;

use crate::direct::Lease;
use crate::fault;
use crate::timer::{Phase, PhaseTimer};

/// What a backend answers. Dropping it before its end closes the connection, or resets the stream of HTTP/2, so that
/// the backend can stop its work.
#[derive(Debug)]
pub struct AnswerBody {
    /// `None` after the end or a fault.
    incoming: Option<Incoming>,
    /// The connection, where nobody else drives it.
    lease: Option<Lease>,
    timer: PhaseTimer,
    endpoint: Arc<Endpoint>,
    progress: Progress,
}

/// How far the answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing has come; the limit of the first token runs since the call was sent.
    Nothing,
    /// A chunk was handed out, and nobody has had to wait for the next.
    HandedOut,
    /// The reader waits for the next chunk.
    Waiting,
}

impl AnswerBody {
    pub(crate) fn new(
        incoming: Incoming,
        lease: Option<Lease>,
        timer: PhaseTimer,
        endpoint: Arc<Endpoint>,
    ) -> AnswerBody {
        AnswerBody { incoming: Some(incoming), lease, timer, endpoint, progress: Progress::Nothing }
    }

    /// The next chunk, never an empty one; `None` after the end. Trailers are dropped. The limit between two chunks
    /// runs only while the reader waits, so that a slow reader is not held against the backend.
    ///
    /// # Errors
    ///
    /// The connection broke, what came is not HTTP, or a limit passed; the body has then ended.
    pub fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, UpstreamFault>>> {
        let body = &mut *self;
        let Some(incoming) = &mut body.incoming else { return Poll::Ready(None) };
        while let Poll::Ready(frame) = read(incoming, body.lease.as_mut(), context) {
            let ended = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(_) if body.timer.total_has_passed() => {
                        Some(Err(fault::of_timeout(&body.endpoint, UpstreamFaultKind::TotalTimeout)))
                    }
                    Ok(data) if !data.is_empty() => {
                        body.progress = Progress::HandedOut;
                        return Poll::Ready(Some(Ok(data)));
                    }
                    // An empty chunk, or trailers.
                    Ok(_) | Err(_) => continue,
                },
                Some(Err(error)) => Some(Err(fault::of_body(&body.endpoint, &error))),
                None => None,
            };
            body.close();
            return Poll::Ready(ended);
        }
        if body.progress == Progress::HandedOut {
            body.progress = Progress::Waiting;
            body.timer.enter(Phase::Idle, body.endpoint.timeouts.idle);
        }
        body.timer.poll(context).map(|too_long| {
            body.close();
            Some(Err(fault::of_timeout(&body.endpoint, too_long)))
        })
    }

    /// [`AnswerBody::poll_frame`] as a future. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, UpstreamFault>> {
        poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await
    }

    /// Whether it is known that nothing more will come. False does not mean that something will.
    pub fn is_end(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    /// Lets the connection go: for another call if all of this one's answer has come, else it is closed.
    fn close(&mut self) {
        drop(self.incoming.take());
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // A body of known length may have been taken whole without its end having been asked for, and a short one that
        // nobody wants has often come whole.
        self.close();
    }
}

/// The next frame, from whoever drives the connection.
fn read(
    incoming: &mut Incoming,
    lease: Option<&mut Lease>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    match lease {
        Some(lease) => lease.poll_frame(incoming, context),
        None => Pin::new(incoming).poll_frame(context),
    }
}
