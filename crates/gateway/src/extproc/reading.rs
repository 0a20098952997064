//! From the head of a request to its whole body.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use dialects::Dialect;
use dialects::response::ErrorCode;
use envoy_types::pb::envoy::service::ext_proc::v3::{HeaderMutation, HttpBody};
use http::{HeaderMap, HeaderName, Method, header};
use pipeline::Pipeline;
use trace::{ActiveRecord, Clock, Door, Observed, Text};

use super::conversation::{Message, Origin, Part, State, Turn, WatchOnly, out_of_order};
use super::head::{AnswerLines, Head, Place};
use super::modes::{BodyMode, Modes};
use super::passing::Passing;
use super::replies::{self, Body, Last, Side};
use super::watching::Watching;
use super::{ExtProcDoor, OnUnroutable, context, deciding, immediate, mutation};
use crate::access::{AuthorizationUse, Caller};
use crate::answers::{Owner, record_headers};
use crate::errors::ApiError;
use crate::in_flight::{Phase, Ticket};
use crate::intake;

/// The route of a path that is none of ours.
const OTHER: &str = "_OTHER";

/// The header by which Envoy finds a backend: only ours counts.
pub(super) const DESTINATION: HeaderName = HeaderName::from_static("x-gateway-destination-endpoint");

/// A request whose head was accepted.
pub(super) struct Taken {
    pub(super) door: Arc<ExtProcDoor>,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) record: ActiveRecord,
    pub(super) ticket: Ticket,
    pub(super) caller: Caller,
    pub(super) head: Head,
    pub(super) dialect: Dialect,
    pub(super) modes: Modes,
}

/// A request whose body is read.
pub(super) struct Reading {
    taken: Taken,
    shape: Shape,
    body: Pieces,
    started: Instant,
}

/// In which form the body comes, and with that how the request can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// In one message.
    Whole,
    /// In one message, or cut off.
    Partial,
    /// In one message, if Envoy follows our wish.
    AskedFor,
    /// In pieces, while the head waits.
    Duplex,
}

/// What came of a body.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    rest: BytesMut,
}

/// What follows the last byte of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    Trailers,
}

/// Takes the first message of a stream.
pub(super) async fn begin(origin: Origin, message: Message) -> Turn {
    let Message { part, watching, protocol } = message;
    let modes = Modes::of(protocol.as_ref());
    let Part::RequestHead(head) = part else { return headless(origin, modes, part) };
    let clock = Clock::start();
    let head = Head::read(&head);
    let place = head.place();
    let route = match place {
        Place::Api(dialect) => dialect.path(),
        Place::UnknownApi(api) => api,
        Place::Elsewhere => OTHER,
    };
    let Origin { door, peer, metadata, .. } = origin;
    let pipeline = door.pipeline.load_full();
    let mut record = begin_record(&door, &pipeline, &head, route, &metadata, clock);
    let dialect = match place {
        Place::Api(dialect) => dialect,
        Place::UnknownApi(_) if watching == WatchOnly::No && door.on_unroutable == OnUnroutable::Refuse => {
            let message = "The router does not know this API yet; it takes /v1/chat/completions, /v1/completions and /v1/embeddings.";
            return immediate::error(ApiError::new(ErrorCode::NotFound, message), record, None);
        }
        Place::UnknownApi(_) | Place::Elsewhere if watching == WatchOnly::Yes => {
            return Turn::of(State::Watching(Box::new(Watching::elsewhere(record))), Vec::new());
        }
        Place::UnknownApi(_) | Place::Elsewhere => {
            let caller = intake::establish(&door.access.load(), &head.headers, peer).ok();
            return Passing::through(modes, without_ours(&head.headers, caller.as_ref()), record);
        }
    };
    let entered =
        door.in_flight.enter(record.request.id.clone(), record.trace_id, route, record.clock.monotonic());
    let Some(ticket) = entered else { return immediate::error(intake::over_capacity(), record, None) };
    let checked = intake::check_size(&door.limits, &head.headers)
        .and_then(|()| intake::establish(&door.access.load(), &head.headers, peer))
        .and_then(|caller| {
            if head.method == Method::POST { Ok(caller) } else { Err(ApiError::method_not_allowed("POST")) }
        });
    let caller = match checked {
        Ok(caller) => caller,
        Err(error) => return immediate::error(error, record, Some(ticket)),
    };
    ticket.principal(&caller.principal.name);
    intake::note_caller(&caller, &mut record.request);
    let taken = Taken { door, pipeline, record, ticket, caller, head, dialect, modes };
    match watching {
        WatchOnly::Yes => Turn::of(State::Watching(Box::new(Watching::begin(taken))), Vec::new()),
        WatchOnly::No => taken.receive().await,
    }
}

fn begin_record(
    door: &ExtProcDoor,
    pipeline: &Pipeline,
    head: &Head,
    route: &'static str,
    metadata: &HeaderMap,
    clock: Clock,
) -> ActiveRecord {
    let tracing = door.tracing.load();
    let incoming = context::parent(tracing.propagators, &head.headers, metadata);
    let (method, path, headers) = (&head.method, head.path(), &head.headers);
    let facts = intake::Head { door: Door::ExtProc, method, path, route, headers, incoming, clock };
    let mut record = intake::begin(&tracing, pipeline, &door.sink, facts);
    record.request.scheme = head.scheme;
    record.request.observed = Observed::Request;
    record
}

/// A stream that begins in the middle: whatever this is, it cannot be checked.
fn headless(origin: Origin, modes: Modes, part: Part) -> Turn {
    let head = Head::unseen();
    let pipeline = origin.door.pipeline.load();
    let mut record = begin_record(&origin.door, &pipeline, &head, OTHER, &origin.metadata, Clock::start());
    match origin.door.on_unroutable {
        OnUnroutable::Refuse => {
            out_of_order("no head of a request came first", Some(Owner::Record(record)), None)
        }
        OnUnroutable::Pass => {
            note_unroutable(&mut record, "headless");
            Passing::watched(modes, record, None).step(part)
        }
    }
}

/// The trace says that a request went on unchecked, and why.
fn note_unroutable(record: &mut ActiveRecord, why: &'static str) {
    record.request.custom.push((Arc::from("semantic_router.unroutable"), Text::trusted(why)));
}

/// Takes off what is the router's own: a client must not choose an endpoint, and a key of the router's is not for backends.
fn without_ours(headers: &HeaderMap, caller: Option<&Caller>) -> HeaderMutation {
    let mut wanted = headers.clone();
    wanted.remove(DESTINATION);
    if caller.is_some_and(|caller| caller.authorization == AuthorizationUse::Router) {
        wanted.remove(header::AUTHORIZATION);
    }
    mutation::between(headers, &wanted)
}

impl Taken {
    /// Says how the body shall come; what is known to be wrong is refused before it does.
    async fn receive(self) -> Turn {
        let limit = self.door.limits.body_bytes;
        if intake::is_encoded(&self.head.headers) {
            return self.refuse(intake::compressed());
        }
        if intake::announced_length(&self.head.headers).is_some_and(|length| length > limit) {
            return self.refuse(intake::too_large(limit));
        }
        if self.head.is_all {
            // No request without a body is one of this API; parsing it says what is missing.
            return deciding::decide(self, Bytes::new(), Shape::Whole, After::Nothing).await;
        }
        let shape = match self.modes.request {
            BodyMode::None => return deciding::decide_unseen(self).await,
            BodyMode::Buffered => Shape::Whole,
            BodyMode::BufferedPartial => Shape::Partial,
            BodyMode::FullDuplex => Shape::Duplex,
            BodyMode::Streamed if self.modes.body_without_waiting => {
                let reply =
                    replies::head(Side::Request, without_ours(&self.head.headers, Some(&self.caller)));
                return self.unroutable("streamed", vec![reply]);
            }
            BodyMode::Streamed => Shape::AskedFor,
        };
        let headers = without_ours(&self.head.headers, None);
        let replies = match shape {
            Shape::Whole | Shape::Partial => vec![replies::head(Side::Request, headers)],
            Shape::AskedFor => {
                vec![replies::head_asking(Side::Request, headers, Some(self.modes.buffered_request()))]
            }
            // The head goes on with what the body decides.
            Shape::Duplex => Vec::new(),
        };
        let reading = Reading { taken: self, shape, body: Pieces::default(), started: Instant::now() };
        Turn::of(State::Reading(Box::new(reading)), replies)
    }

    pub(super) fn refuse(self, error: ApiError) -> Turn {
        immediate::error(error, self.record, Some(self.ticket))
    }

    /// The prompt cannot be routed by its content: it is refused, or goes on with these replies.
    fn unroutable(self, why: &'static str, replies: Vec<super::conversation::Reply>) -> Turn {
        let Taken { door, mut record, ticket, modes, .. } = self;
        match door.on_unroutable {
            OnUnroutable::Refuse => {
                let message = "The proxy sends the request's body in a way in which the router cannot route it. Its operator should set request_body_mode to BUFFERED or FULL_DUPLEX_STREAMED, or allow_mode_override.";
                immediate::error(ApiError::new(ErrorCode::Internal, message), record, Some(ticket))
            }
            OnUnroutable::Pass => {
                note_unroutable(&mut record, why);
                let passing = Passing::watched(modes, record, Some(ticket));
                Turn::of(State::Passing(passing), replies)
            }
        }
    }
}

impl Reading {
    pub(super) fn deadline(&self) -> Instant {
        self.started + self.taken.door.limits.read_timeout
    }

    pub(super) async fn step(self, part: Part) -> Turn {
        match part {
            Part::RequestBody(body) => self.body(body).await,
            Part::RequestTrailers if self.shape == Shape::Duplex => self.whole(After::Trailers).await,
            Part::ResponseHead(head) => self.answered_by_envoy(&AnswerLines::read(&head)),
            Part::RequestHead(_) => self.out_of_order("a second head of the request"),
            Part::RequestTrailers => self.out_of_order("trailers of the request before its body"),
            Part::ResponseBody(_) | Part::ResponseTrailers => {
                self.out_of_order("an answer's body before its head")
            }
        }
    }

    /// The body did not come in time.
    pub(super) fn late(self) -> Turn {
        let error = intake::too_slow(self.taken.door.limits.read_timeout);
        self.taken.refuse(error)
    }

    /// A message was too large to be read.
    pub(super) fn oversized(self) -> Turn {
        let error = intake::too_large(self.taken.door.limits.body_bytes);
        self.taken.refuse(error)
    }

    async fn body(mut self, body: HttpBody) -> Turn {
        let limit = self.taken.door.limits.body_bytes;
        self.taken.ticket.came_in(body.body.len());
        if self.body.len() + body.body.len() > limit {
            return self.taken.refuse(intake::too_large(limit));
        }
        self.body.push(Bytes::from(body.body));
        let is_cut = !body.end_of_stream;
        match self.shape {
            Shape::Duplex if is_cut => Turn::of(State::Reading(Box::new(self)), Vec::new()),
            // Where Envoy said that the body comes whole, something after it means trailers.
            Shape::Whole if is_cut && self.taken.modes.announced => self.whole(After::Trailers).await,
            Shape::Whole | Shape::AskedFor if is_cut => {
                let echo = replies::body(Side::Request, HeaderMutation::default(), Body::Kept);
                self.taken.unroutable("streamed", vec![echo])
            }
            Shape::Partial if is_cut => {
                let message = "The request body is larger than the proxy's buffer, so that the router cannot check all of it. Send less.";
                self.taken.refuse(ApiError::new(ErrorCode::RequestTooLarge, message))
            }
            Shape::Whole | Shape::AskedFor | Shape::Partial | Shape::Duplex => {
                self.whole(After::Nothing).await
            }
        }
    }

    /// The body is there.
    async fn whole(self, after: After) -> Turn {
        let Reading { mut taken, shape, body, started } = self;
        taken.record.read_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        taken.ticket.phase(Phase::Deciding);
        deciding::decide(taken, body.whole(), shape, after).await
    }

    /// Envoy answers by itself before the request was there, such as to a body over its own limit.
    fn answered_by_envoy(self, head: &AnswerLines) -> Turn {
        let Taken { mut record, ticket, modes, .. } = self.taken;
        record.http_status = Some(head.status);
        record.request.observed = Observed::Headers;
        if head.status >= 500 {
            let description = Text::trusted("the proxy answered before it had sent the whole request");
            record.fail(head.status.to_string(), description);
        }
        let mut wanted = head.headers.clone();
        record_headers(&record, &mut wanted);
        let reply = replies::head(Side::Response, mutation::between(&head.headers, &wanted));
        if head.is_all {
            record.finish();
            return Turn::of(State::Closed, vec![reply]);
        }
        let passing = Passing::watched(modes, record, Some(ticket));
        Turn::of(State::Passing(passing), vec![reply])
    }

    fn out_of_order(self, what: &str) -> Turn {
        let Taken { record, ticket, .. } = self.taken;
        out_of_order(what, Some(Owner::Record(record)), Some(ticket))
    }
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// A body in one piece is not copied.
    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.rest.is_empty() {
            self.rest.reserve(self.first.len() + piece.len());
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&piece);
    }

    fn whole(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

/// Whether a piece of the request's body is its last, where trailers may follow it.
pub(super) fn last_before(after: After) -> Last {
    Last::when(after == After::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let mut pieces = Pieces::default();
        for piece in ["", "{\"a\"", ":", "", "1}"] {
            pieces.push(Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!(pieces.len(), 7);
        assert_eq!(pieces.whole(), "{\"a\":1}");
    }
}
