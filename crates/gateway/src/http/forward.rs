//! A request to a model: decide, then refuse, answer from memory, or forward.
//!
//! The head of a forwarded answer goes out together with its first bytes: until then another attempt can still replace
//! a backend that broke, and one that took too long is an error with a status of its own.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use dialects::Dialect;
use dialects::response::ErrorCode;
use http::{HeaderMap, StatusCode, header};
use pipeline::exchange::{AnswerHead, Attempt, Exchange, HeadVerdict, Lost, UpstreamFault};
use pipeline::outcome::{Outcome, Refusal};
use pipeline::replay;
use pipeline::request::Request;
use trace::ActiveRecord;
use upstream::{AnswerBody, Call};

use super::HttpDoor;
use super::answer::{Content, Owner, Response, answer, respond};
use super::answer_stream::AnswerStream;
use super::receive::{self, Received};
use crate::access::Caller;
use crate::answers::{is_stream, record_headers, stream_headers};
use crate::errors::ApiError;
use crate::headers::{self, ContentLength};
use crate::in_flight::{Phase, Ticket};
use crate::intake;

/// Answers a request to a model.
pub(crate) async fn handle(
    door: Arc<HttpDoor>,
    request: http::Request<Body>,
    route: &'static str,
    dialect: Dialect,
) -> Response {
    let arrival = match receive::arrive(door, request, route).await {
        Ok(arrival) => arrival,
        Err(response) => return *response,
    };
    receive::guarded(arrival.names(), async move {
        match arrival.receive().await {
            Ok(received) => decide(received, dialect).await,
            Err(response) => *response,
        }
    })
    .await
}

async fn decide(received: Received, dialect: Dialect) -> Response {
    let Received { door, pipeline, mut record, ticket, caller, head, body } = received;
    let parsed = match intake::parse(dialect, body, door.limits.messages).await {
        Ok(parsed) => parsed,
        Err(error) => return error.answer(record, Some(ticket)),
    };
    intake::note_request(&parsed, &mut record);
    intake::note_metadata(&door.tracing.load().attributes, &parsed, &mut record);
    let request = intake::request(parsed, &caller, &pipeline.policy, &head.headers);
    match pipeline.decide(&request, &mut record).await {
        Outcome::Refuse(refusal) => refuse(&request, refusal, record, ticket),
        Outcome::Answer(hit) => {
            let content = Content::prepared(replay::stored(&request, &hit.answer.body));
            answer(StatusCode::OK, content, Owner::Record(record), Some(ticket))
        }
        Outcome::Forward(plan) => {
            let started = record.clock.monotonic();
            let exchange = Box::new(Exchange::new(pipeline, request, plan, record));
            Forwarding { door, exchange, ticket, caller, client: head.headers, started }.run().await
        }
    }
}

/// A refusal as an error, or as a completion where the decision says so.
fn refuse(request: &Request, refusal: Refusal, record: ActiveRecord, ticket: Ticket) -> Response {
    match intake::polite_refusal(request, &refusal, record.trace_id) {
        Some(prepared) => {
            answer(StatusCode::OK, Content::prepared(prepared), Owner::Record(record), Some(ticket))
        }
        None => ApiError::from(refusal).answer(record, Some(ticket)),
    }
}

/// A request on its way to a backend.
struct Forwarding {
    door: Arc<HttpDoor>,
    exchange: Box<Exchange>,
    ticket: Ticket,
    caller: Caller,
    /// The client's headers.
    client: HeaderMap,
    started: Instant,
}

/// An answer whose first bytes have come, if it has any.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: AnswerBody,
    first: Option<Bytes>,
    length: ContentLength,
}

impl Forwarding {
    /// One attempt after the other, until a backend answers or none is left.
    async fn run(mut self) -> Response {
        self.ticket.phase(Phase::Waiting);
        loop {
            let attempt = match self.exchange.attempt() {
                Ok(attempt) => attempt,
                Err(refusal) => return self.refuse(refusal),
            };
            match self.send(attempt).await {
                Ok(Some(answered)) => return self.respond(answered),
                Ok(None) => continue,
                Err(fault) => match self.exchange.lost(fault) {
                    Lost::Retry => continue,
                    Lost::Refuse(refusal) => return self.refuse(refusal),
                    // Only possible once a head has gone out, which it has not.
                    Lost::Break(_) | Lost::Abort => {
                        let message = "The answer broke off before it began. Try again.";
                        return self.refuse(Refusal::new(ErrorCode::UpstreamUnreachable, message));
                    }
                },
            }
        }
    }

    /// Sends one attempt; `None` when its answer sends the request elsewhere.
    async fn send(&mut self, attempt: Attempt) -> Result<Option<Answered>, UpstreamFault> {
        let propagators = self.exchange.record().map(|record| record.propagators).unwrap_or_default();
        let headers = headers::to_backend(&self.client, &self.caller, &attempt, propagators);
        let deadline = self.started + attempt.endpoint.timeouts.total;
        let Attempt { endpoint, path, body, .. } = attempt;
        let mut answer = self.door.client.send(Call { endpoint, path, headers, body, deadline }).await?;
        let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let head =
            AnswerHead { status: answer.status.as_u16(), content_type: content_type.map(str::to_owned) };
        let length = match self.exchange.head(&head) {
            HeadVerdict::Forward { keeps_length: true } => ContentLength::Kept,
            HeadVerdict::Forward { keeps_length: false } => ContentLength::Dropped,
            HeadVerdict::Retry => return Ok(None),
            HeadVerdict::Invalid(fault) => return Err(fault),
        };
        let first = answer.body.next().await.transpose()?;
        let upstream::Answer { status, headers, body } = answer;
        Ok(Some(Answered { status, headers, body, first, length }))
    }

    /// The backend's answer on its way to the client.
    fn respond(mut self, answered: Answered) -> Response {
        let Answered { status, headers: backend, body, first, length } = answered;
        let mut headers = headers::to_client(&backend, length);
        if is_stream(&headers) {
            stream_headers(&mut headers);
        }
        if let Some(record) = self.exchange.record_mut() {
            record.http_status = Some(status.as_u16());
            record_headers(record, &mut headers);
        }
        self.ticket.phase(Phase::Answering);
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let stream = AnswerStream::new(body, self.exchange, self.ticket, first, announced);
        respond(status, headers, Body::new(stream))
    }

    fn refuse(self, refusal: Refusal) -> Response {
        ApiError::from(refusal).answer_owned(Owner::Exchange(self.exchange), Some(self.ticket))
    }
}
