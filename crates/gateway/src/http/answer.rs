//! Answers that are complete before their first byte: errors, remembered answers, and everything that the door says itself.
//!
//! The body owns the request's record and its place in the in-flight table, so that both end with its last byte.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};

pub(crate) use crate::answers::Owner;
use crate::answers::{EVENT_STREAM, record_headers, stream_headers};
use crate::in_flight::{Phase, Ticket};

/// An answer of this door.
pub(crate) type Response = http::Response<Body>;

/// What is answered.
pub(crate) struct Content {
    content_type: &'static str,
    pieces: VecDeque<Bytes>,
}

impl Content {
    /// A JSON body.
    pub(crate) fn json(body: Bytes) -> Content {
        Content { content_type: "application/json", pieces: VecDeque::from([body]) }
    }

    /// What the pipeline prepared.
    pub(crate) fn prepared(prepared: pipeline::replay::Prepared) -> Content {
        Content { content_type: prepared.content_type, pieces: prepared.pieces.into() }
    }
}

/// Makes the answer, with the headers that its record tells.
pub(crate) fn answer(
    status: StatusCode,
    content: Content,
    mut owner: Owner,
    ticket: Option<Ticket>,
) -> Response {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content.content_type));
    if content.content_type == EVENT_STREAM {
        stream_headers(&mut headers);
    }
    if let Some(record) = owner.record_mut() {
        record.http_status = Some(status.as_u16());
        record_headers(record, &mut headers);
    }
    if let Some(ticket) = &ticket {
        ticket.phase(Phase::Answering);
        ticket.went_out(content.pieces.iter().map(Bytes::len).sum());
    }
    let mut body =
        PreparedBody { pieces: content.pieces, owner: None, unread: Unread::Lost, _ticket: ticket };
    if owner.record_mut().is_some_and(|record| record.request.method == "HEAD") {
        body.unread = Unread::Unwanted;
    }
    body.owner = Some(owner);
    respond(status, headers, Body::new(body))
}

/// Puts an answer together.
pub(crate) fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

struct PreparedBody {
    pieces: VecDeque<Bytes>,
    owner: Option<Owner>,
    unread: Unread,
    _ticket: Option<Ticket>,
}

/// What pieces that nobody took mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// The client left.
    Lost,
    /// It asked for the head only.
    Unwanted,
}

impl http_body::Body for PreparedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

impl Drop for PreparedBody {
    /// Every byte was taken: the answer is complete. Otherwise the client left, which the record's own drop notes.
    fn drop(&mut self) {
        let complete = self.pieces.is_empty() || self.unread == Unread::Unwanted;
        if let Some(Owner::Record(record)) = self.owner.take_if(|_| complete) {
            record.finish();
        }
    }
}
