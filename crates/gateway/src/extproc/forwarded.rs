//! A request that has gone on to a backend: its answer is read in passing, changed where it must be, and remembered.

use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::{HeaderMutation, HttpBody};
use http::header;
use pipeline::exchange::{AnswerHead, Exchange, HeadVerdict, Lost, UpstreamFault, UpstreamFaultKind};
use tonic::Status;
use trace::Observed;

use super::conversation::{Part, Reply, State, Turn, out_of_order};
use super::head::AnswerLines;
use super::modes::{BodyMode, Modes};
use super::replies::{self, Body, Last, Side};
use super::{immediate, mutation};
use crate::answers::{Owner, is_last_word, is_stream, join, record_headers, stream_headers};
use crate::headers::{self, ContentLength};
use crate::in_flight::{Phase, Ticket};

/// See the module.
pub(super) struct Forwarded {
    exchange: Box<Exchange>,
    ticket: Ticket,
    modes: Modes,
    deadline: Instant,
    answer: Answer,
}

/// How far the answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    /// Its head has gone on.
    Begun {
        length: Length,
    },
    /// A stream has said that it is over.
    Said,
}

/// What becomes of the length of an answer that comes whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// Envoy compares it with the body, so that it has to follow a change.
    Follows,
    /// There is none, or nobody compares it.
    Free,
}

impl Forwarded {
    pub(super) fn new(exchange: Box<Exchange>, ticket: Ticket, modes: Modes, deadline: Instant) -> Forwarded {
        Forwarded { exchange, ticket, modes, deadline, answer: Answer::Awaited }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn step(self, part: Part) -> Turn {
        match (part, self.answer) {
            (Part::RequestTrailers, Answer::Awaited) => {
                Turn::of(State::Forwarded(Box::new(self)), vec![replies::trailers(Side::Request)])
            }
            (Part::ResponseHead(head), Answer::Awaited) => self.head(AnswerLines::read(&head)),
            (Part::ResponseBody(body), Answer::Begun { length }) => self.body(body, length),
            (Part::ResponseBody(body), Answer::Said) => self.body(body, Length::Free),
            (Part::ResponseTrailers, Answer::Begun { .. } | Answer::Said) => self.trailers(),
            (Part::RequestHead(_), _) => self.out_of_order("a second head of the request"),
            (Part::RequestBody(_), _) => self.out_of_order("more of a request's body than all of it"),
            (Part::RequestTrailers, _) => self.out_of_order("trailers of the request after its answer began"),
            (Part::ResponseHead(_), _) => self.out_of_order("a second head of the answer"),
            (Part::ResponseBody(_) | Part::ResponseTrailers, Answer::Awaited) => {
                self.out_of_order("an answer's body before its head")
            }
        }
    }

    /// The answer takes longer than its endpoint may.
    pub(super) fn late(mut self) -> Turn {
        let fault =
            UpstreamFault::new(UpstreamFaultKind::TotalTimeout, "the answer took longer than the whole may");
        match self.exchange.lost(fault) {
            Lost::Refuse(refusal) => {
                immediate::told(refusal.into(), Some(Owner::Exchange(self.exchange)), Some(self.ticket))
            }
            Lost::Retry | Lost::Break(_) | Lost::Abort => {
                Turn::broken(Status::deadline_exceeded("the answer took longer than its limit"))
            }
        }
    }

    /// Envoy has closed the stream. Whatever it was to show has come; the exchange knows whether that was all.
    pub(super) fn ended(mut self) {
        if self.answer == Answer::Said {
            // Nothing is left to send.
            let _ = self.exchange.end();
        }
    }

    fn head(mut self, head: AnswerLines) -> Turn {
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let seen = AnswerHead { status: head.status, content_type: content_type.map(str::to_owned) };
        let length = match self.exchange.head(&seen) {
            HeadVerdict::Forward { keeps_length: true } => ContentLength::Kept,
            HeadVerdict::Forward { keeps_length: false } => ContentLength::Dropped,
            HeadVerdict::Invalid(fault) => return self.lost(fault),
            HeadVerdict::Retry => {
                // Only where attempts are left, of which there are none behind Envoy.
                return Turn::broken(Status::internal("an attempt that cannot be made"));
            }
        };
        let mut wanted = headers::to_client(&head.headers, length);
        let stream = is_stream(&wanted);
        if stream {
            stream_headers(&mut wanted);
        }
        if let Some(record) = self.exchange.record_mut() {
            record.http_status = Some(head.status);
            record.request.observed = Observed::Headers;
            record_headers(record, &mut wanted);
        }
        self.ticket.phase(Phase::Answering);
        let mut follows = Length::Free;
        let mut mode = None;
        if self.modes.response == BodyMode::Buffered {
            // A stream that waits to be whole is none.
            mode = stream.then(|| self.modes.streamed_response());
            if let (false, Some(length)) = (stream, head.headers.get(header::CONTENT_LENGTH)) {
                // Envoy has the body before the head goes on; the length is told with it.
                follows = Length::Follows;
                wanted.insert(header::CONTENT_LENGTH, length.clone());
            }
        }
        let changes = mutation::between(&head.headers, &wanted);
        if self.modes.response == BodyMode::None {
            // Nothing else is to come.
            let _ = self.exchange.end();
            let reply = vec![replies::head(Side::Response, changes)];
            let answered = immediate::Answered::by_backend(self.exchange, self.ticket);
            return Turn::of(State::Answered(answered), reply);
        }
        self.answer = Answer::Begun { length: follows };
        let reply = vec![replies::head_asking(Side::Response, changes, mode)];
        if head.is_all {
            let left = self.exchange.end();
            debug_assert!(left.is_none(), "a body without bytes leaves none");
            return self.ending(reply);
        }
        Turn::of(State::Forwarded(Box::new(self)), reply)
    }

    fn body(mut self, message: HttpBody, length: Length) -> Turn {
        let came = Bytes::from(message.body);
        let last = Last::when(message.end_of_stream);
        let mut emitted = if came.is_empty() { None } else { self.exchange.chunk(came.clone()) };
        if last == Last::Yes {
            emitted = join(emitted, self.exchange.end());
        }
        let emitted = emitted.unwrap_or_default();
        self.ticket.went_out(emitted.len());
        if is_last_word(&emitted) {
            self.answer = Answer::Said;
        }
        let replies = match self.modes.response {
            BodyMode::FullDuplex => replies::pieces(Side::Response, &emitted, last),
            _ if emitted == came => {
                vec![replies::body(Side::Response, HeaderMutation::default(), Body::Kept)]
            }
            _ => {
                let mut changes = HeaderMutation::default();
                if length == Length::Follows {
                    mutation::set(&mut changes, "content-length", &emitted.len().to_string());
                }
                vec![replies::body(Side::Response, changes, Body::Replaced(emitted))]
            }
        };
        match last {
            Last::Yes => self.ending(replies),
            Last::No => Turn::of(State::Forwarded(Box::new(self)), replies),
        }
    }

    fn trailers(mut self) -> Turn {
        let left = self.exchange.end().filter(|left| !left.is_empty());
        let mut replies = Vec::new();
        match (left, self.modes.response) {
            (Some(left), BodyMode::FullDuplex) => {
                replies.extend(replies::pieces(Side::Response, &left, Last::No));
            }
            // The last piece was answered already: what was held back for it would be lost without a word.
            (Some(_), _) => {
                return Turn::broken(Status::internal("bytes are left for a body that has ended"));
            }
            (None, _) => {}
        }
        replies.push(replies::trailers(Side::Response));
        self.ending(replies)
    }

    /// All of the answer has come: nothing that Envoy could say would change it.
    fn ending(mut self, replies: Vec<Reply>) -> Turn {
        if let Some(record) = self.exchange.record_mut() {
            record.request.observed = Observed::Body;
        }
        Turn::of(State::Answered(immediate::Answered::by_backend(self.exchange, self.ticket)), replies)
    }

    /// The backend's answer is not one, and nothing of it has gone on.
    fn lost(mut self, fault: UpstreamFault) -> Turn {
        match self.exchange.lost(fault) {
            Lost::Refuse(refusal) => {
                immediate::told(refusal.into(), Some(Owner::Exchange(self.exchange)), Some(self.ticket))
            }
            Lost::Retry | Lost::Break(_) | Lost::Abort => {
                Turn::broken(Status::internal("the answer broke before it began"))
            }
        }
    }

    fn out_of_order(self, what: &str) -> Turn {
        out_of_order(what, Some(Owner::Exchange(self.exchange)), Some(self.ticket))
    }
}
