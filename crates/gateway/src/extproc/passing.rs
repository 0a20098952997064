//! A request that goes through untouched: no API of ours, or one that cannot be routed where the settings say `pass`.

use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::HeaderMutation;
use trace::{ActiveRecord, Observed, Text};

use super::conversation::{Part, State, Turn};
use super::head::AnswerLines;
use super::modes::{BodyMode, Modes};
use super::replies::{self, Body, Last, Side};
use crate::in_flight::Ticket;

/// A request of which nothing changes.
pub(super) struct Passing {
    modes: Modes,
    /// The record, where the request's end is waited for.
    owner: Option<(ActiveRecord, Option<Ticket>)>,
}

impl Passing {
    /// Goes on with what is left of a request; its record ends with it.
    pub(super) fn watched(modes: Modes, record: ActiveRecord, ticket: Option<Ticket>) -> Passing {
        Passing { modes, owner: Some((record, ticket)) }
    }

    /// Lets a request through whose head was just read. Where Envoy needs no further replies the stream ends with this
    /// one, and so does the record: Envoy goes on without us.
    pub(super) fn through(modes: Modes, head: HeaderMutation, record: ActiveRecord) -> Turn {
        let reply = replies::head(Side::Request, head);
        let echoes = [modes.request, modes.response].contains(&BodyMode::FullDuplex);
        record.finish();
        let state = if echoes { State::Passing(Passing { modes, owner: None }) } else { State::Closed };
        Turn::of(state, vec![reply])
    }

    pub(super) fn step(mut self, part: Part) -> Turn {
        let reply = match part {
            Part::RequestHead(_) => vec![replies::head(Side::Request, HeaderMutation::default())],
            Part::RequestBody(body) => echo(Side::Request, self.modes.request, body.body, body.end_of_stream),
            Part::RequestTrailers => vec![replies::trailers(Side::Request)],
            Part::ResponseHead(head) => {
                self.note(&AnswerLines::read(&head));
                let reply = vec![replies::head(Side::Response, HeaderMutation::default())];
                return if head.end_of_stream { self.ending(reply) } else { self.going(reply) };
            }
            Part::ResponseBody(body) => {
                let last = body.end_of_stream;
                let reply = echo(Side::Response, self.modes.response, body.body, last);
                return if last { self.ending(reply) } else { self.going(reply) };
            }
            Part::ResponseTrailers => {
                let reply = vec![replies::trailers(Side::Response)];
                return self.ending(reply);
            }
        };
        self.going(reply)
    }

    /// Envoy has closed the stream: the request is over, as far as we were to see it.
    pub(super) fn ended(self) {
        if let Some((record, _ticket)) = self.owner {
            record.finish();
        }
    }

    fn going(self, replies: Vec<super::conversation::Reply>) -> Turn {
        Turn::of(State::Passing(self), replies)
    }

    fn ending(mut self, replies: Vec<super::conversation::Reply>) -> Turn {
        if let Some((record, _)) = &mut self.owner {
            record.request.observed = Observed::Body;
        }
        self.ended();
        Turn::of(State::Closed, replies)
    }

    fn note(&mut self, head: &AnswerLines) {
        let Some((record, _)) = &mut self.owner else { return };
        record.http_status = Some(head.status);
        record.request.observed = Observed::Headers;
        if head.status >= 500 {
            let description = Text::trusted(format!("the answer came with status {}", head.status));
            record.fail(head.status.to_string(), description);
        }
    }
}

/// A piece of a body goes on as it came.
fn echo(side: Side, mode: BodyMode, body: Vec<u8>, last: bool) -> Vec<super::conversation::Reply> {
    if mode == BodyMode::FullDuplex {
        return replies::pieces(side, &Bytes::from(body), Last::when(last));
    }
    vec![replies::body(side, HeaderMutation::default(), Body::Kept)]
}
