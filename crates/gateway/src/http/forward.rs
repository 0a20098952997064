//! A request to a model: decide, then refuse, answer from memory, or forward.
//!
//! The head of a forwarded answer goes out together with its first bytes: until then another attempt can still replace
//! a backend that broke, and one that took too long is an error with a status of its own.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use dialects::response::ErrorCode;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pipeline::exchange::{AnswerHead, Attempt, Exchange, HeadVerdict, Lost, UpstreamFault};
use pipeline::outcome::{Outcome, Refusal};
use pipeline::policy::{BlockAnswer, Policy};
use pipeline::replay;
use pipeline::request::Request;
use trace::{ActiveRecord, Record, Text};
use upstream::{AnswerBody, Call};

use super::HttpDoor;
use super::answer::{
    Content, EVENT_STREAM, Owner, Response, answer, record_headers, respond, stream_headers,
};
use super::answer_stream::AnswerStream;
use super::errors::ApiError;
use super::headers::{self, ContentLength};
use super::receive::{self, Received};
use crate::access::Caller;
use crate::in_flight::{Phase, Ticket};
use crate::tracing_policy::CustomAttributes;

/// Bodies above this size are parsed on a thread of their own, in bytes: parsing one takes milliseconds.
const PARSE_INLINE_BYTES: usize = 1 << 20;

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
    let parsed = match parse(dialect, body, door.limits.messages).await {
        Ok(parsed) => parsed,
        Err(error) => return error.answer(record, Some(ticket)),
    };
    note_request(&parsed, &mut record);
    note_metadata(&door.tracing.load().attributes, &parsed, &mut record);
    let request = Request {
        parsed,
        principal: caller.principal.clone(),
        session: caller.session.clone(),
        headers: policy_headers(&pipeline.policy, &head.headers),
    };
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

/// Parses a body of any size without holding up other requests.
pub(crate) async fn parse(
    dialect: Dialect,
    body: Bytes,
    max_messages: usize,
) -> Result<ParsedRequest, ApiError> {
    let parsed = if body.len() <= PARSE_INLINE_BYTES {
        ParsedRequest::parse(dialect, body)
    } else {
        let parsing = tokio::task::spawn_blocking(move || ParsedRequest::parse(dialect, body));
        parsing.await.map_err(|_| {
            let message =
                "The router failed while reading the request; this is its own fault. Tell its operator.";
            ApiError::new(ErrorCode::Internal, message)
        })?
    };
    let parsed = parsed.map_err(|error| ApiError::from(&error))?;
    let messages = parsed.facts().shape.message_count;
    if messages > max_messages {
        let message = format!(
            "The request has {messages} messages; this router takes {max_messages}. Leave out the oldest ones."
        );
        let param = match dialect {
            Dialect::ChatCompletions => "messages",
            Dialect::Completions => "prompt",
            Dialect::Embeddings => "input",
        };
        return Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param(param));
    }
    Ok(parsed)
}

/// The headers that the policy reads.
pub(crate) fn policy_headers(policy: &Policy, headers: &HeaderMap) -> Vec<(Arc<str>, Box<str>)> {
    let mut read = Vec::new();
    for name in policy.header_names() {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        read.extend(values.map(|value| (Arc::from(name), Box::from(value))));
    }
    read
}

/// What the trace says of the request itself.
pub(crate) fn note_request(parsed: &ParsedRequest, record: &mut Record) {
    record.request.original_model = parsed.model().map(Text::from_outside);
    record.request.stream = parsed.stream();
}

/// The operator's own attributes that the request's `metadata` tells.
fn note_metadata(attributes: &CustomAttributes, parsed: &ParsedRequest, record: &mut Record) {
    if attributes.metadata.is_empty() {
        return;
    }
    let metadata = parsed.metadata();
    for (key, name) in &attributes.metadata {
        if let Some((_, value)) = metadata.iter().find(|(known, _)| **known == **name) {
            record.request.custom.push((Arc::clone(key), Text::from_outside(value)));
        }
    }
}

/// A refusal as an error, or as a completion where the decision says so. Embeddings have no text to say it in.
fn refuse(request: &Request, refusal: Refusal, record: ActiveRecord, ticket: Ticket) -> Response {
    if refusal.answer == BlockAnswer::Error || request.parsed.dialect() == Dialect::Embeddings {
        return ApiError::from(refusal).answer(record, Some(ticket));
    }
    let prefix = match request.parsed.dialect() {
        Dialect::Completions => "cmpl",
        Dialect::ChatCompletions | Dialect::Embeddings => "chatcmpl",
    };
    let id = format!("{prefix}-{}", record.trace_id);
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let content = Content::prepared(replay::refusal(request, &refusal, &id, created));
    answer(StatusCode::OK, content, Owner::Record(record), Some(ticket))
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

fn is_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type
        .get(..EVENT_STREAM.len())
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM.as_bytes()))
}
