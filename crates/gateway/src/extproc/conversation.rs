//! One stream as a state machine: each state takes the next message and says which state follows and what Envoy gets.
//!
//! Invariant: a state owns only what it needs, so that what cannot happen in it cannot be written. Dropping a state at any
//! moment finishes the record that it owns.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialects::response::ErrorCode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
};
use http::HeaderMap;
use tonic::Status;

use super::ExtProcDoor;
use super::forwarded::Forwarded;
use super::immediate::{self, Answered};
use super::passing::Passing;
use super::reading::{self, Reading};
use super::watching::Watching;
use crate::answers::Owner;
use crate::errors::ApiError;

/// A message to Envoy.
pub(super) type Reply = ProcessingResponse;

/// Where a stream comes from.
pub(super) struct Origin {
    pub(super) door: Arc<ExtProcDoor>,
    /// Envoy's address.
    pub(super) peer: Option<IpAddr>,
    /// The call's metadata.
    pub(super) metadata: HeaderMap,
    pub(super) opened: Instant,
}

/// Where a stream is.
pub(super) enum State {
    /// No message has come.
    Begun(Origin),
    /// The head was accepted; the body is read.
    Reading(Box<Reading>),
    /// The request has gone on to a backend.
    Forwarded(Box<Forwarded>),
    /// Envoy only lets us watch.
    Watching(Box<Watching>),
    /// Nothing changes.
    Passing(Passing),
    /// An answer from here is under way.
    Answered(Answered),
    /// The stream ends from our side.
    Closed,
}

/// A message of Envoy's.
pub(super) enum Part {
    RequestHead(HttpHeaders),
    RequestBody(HttpBody),
    RequestTrailers,
    ResponseHead(HttpHeaders),
    ResponseBody(HttpBody),
    ResponseTrailers,
}

/// A message with what only the first one says.
pub(super) struct Message {
    pub(super) part: Part,
    pub(super) watching: WatchOnly,
    pub(super) protocol: Option<ProtocolConfiguration>,
}

/// Whether replies are ignored (`observability_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchOnly {
    Yes,
    No,
}

/// What follows from a message.
pub(super) struct Turn {
    pub(super) state: State,
    pub(super) replies: Vec<Reply>,
    /// The stream ends with this after the replies.
    pub(super) failure: Option<Status>,
}

impl Turn {
    pub(super) fn of(state: State, replies: Vec<Reply>) -> Turn {
        Turn { state, replies, failure: None }
    }

    /// The stream breaks: Envoy does what its configuration says of failures.
    pub(super) fn broken(status: Status) -> Turn {
        Turn { state: State::Closed, replies: Vec::new(), failure: Some(status) }
    }
}

impl Message {
    /// Reads a message; `None` for one that says nothing about a request.
    pub(super) fn read(message: ProcessingRequest) -> Option<Message> {
        let part = match message.request? {
            Request::RequestHeaders(head) => Part::RequestHead(head),
            Request::RequestBody(body) => Part::RequestBody(body),
            Request::RequestTrailers(HttpTrailers { .. }) => Part::RequestTrailers,
            Request::ResponseHeaders(head) => Part::ResponseHead(head),
            Request::ResponseBody(body) => Part::ResponseBody(body),
            Request::ResponseTrailers(HttpTrailers { .. }) => Part::ResponseTrailers,
        };
        let watching = if message.observability_mode { WatchOnly::Yes } else { WatchOnly::No };
        Some(Message { part, watching, protocol: message.protocol_config })
    }
}

impl State {
    /// Takes a message.
    pub(super) async fn step(self, message: Message) -> Turn {
        match self {
            State::Begun(origin) => reading::begin(origin, message).await,
            State::Reading(reading) => reading.step(message.part).await,
            State::Forwarded(forwarded) => forwarded.step(message.part),
            State::Watching(watching) => watching.step(message.part).await,
            State::Passing(passing) => passing.step(message.part),
            // The last word was said; what Envoy had sent before it heard it changes nothing.
            State::Answered(answered) => Turn::of(State::Answered(answered), Vec::new()),
            State::Closed => Turn::of(State::Closed, Vec::new()),
        }
    }

    /// When the state has lasted too long; `None` where Envoy alone decides.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            State::Begun(origin) => Some(origin.opened + origin.door.limits.head_timeout),
            State::Reading(reading) => Some(reading.deadline()),
            State::Forwarded(forwarded) => Some(forwarded.deadline()),
            State::Watching(watching) => Some(watching.deadline()),
            State::Passing(_) => None,
            State::Answered(_) | State::Closed => Some(Instant::now() + Duration::ZERO),
        }
    }

    /// The state has lasted too long.
    pub(super) fn late(self) -> Turn {
        match self {
            State::Begun(_) => Turn::broken(Status::deadline_exceeded("no message came")),
            State::Reading(reading) => reading.late(),
            State::Forwarded(forwarded) => forwarded.late(),
            State::Watching(watching) => {
                watching.ended();
                Turn::broken(Status::deadline_exceeded("the request takes too long to be watched"))
            }
            State::Passing(_) | State::Answered(_) | State::Closed => Turn::of(State::Closed, Vec::new()),
        }
    }

    /// A message was larger than any that can be read.
    pub(super) fn oversized(self) -> Turn {
        match self {
            State::Reading(reading) => reading.oversized(),
            _ => Turn::broken(Status::out_of_range("the message is larger than the router takes")),
        }
    }

    /// Envoy has closed the stream.
    pub(super) fn ended(self) {
        match self {
            State::Forwarded(forwarded) => forwarded.ended(),
            State::Watching(watching) => watching.ended(),
            State::Passing(passing) => passing.ended(),
            State::Answered(answered) => answered.sent(),
            // Nobody waits for an answer any more.
            State::Begun(_) | State::Reading(_) | State::Closed => {}
        }
    }
}

/// Messages came in an order that makes no sense of a request.
pub(super) fn out_of_order(
    what: &str,
    owner: Option<Owner>,
    ticket: Option<crate::in_flight::Ticket>,
) -> Turn {
    let message = format!(
        "The proxy's messages came out of order: {what}. Its operator should look at the processing mode of its ext_proc filter."
    );
    let error = ApiError::new(ErrorCode::InvalidRequest, message);
    let mut owner = owner;
    if let Some(record) = owner.as_mut().and_then(Owner::record_mut) {
        error.note(record);
    }
    immediate::told(error, owner, ticket)
}
