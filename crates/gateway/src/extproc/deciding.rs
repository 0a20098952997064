//! A request that is there: the pipeline decides, and what it decides becomes replies.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use dialects::response::ErrorCode;
use envoy_types::pb::envoy::service::ext_proc::v3::HeaderMutation;
use http::header;
use pipeline::exchange::{Attempt, Exchange, Lost, UpstreamFault, UpstreamFaultKind};
use pipeline::outcome::{Outcome, Plan, Refusal};
use pipeline::replay;
use pipeline::request::Request;
use trace::Text;

use super::conversation::{Reply, State, Turn};
use super::forwarded::Forwarded;
use super::head::Head;
use super::modes::BodyMode;
use super::reading::{After, DESTINATION, Shape, Taken, last_before};
use super::replies::{self, Body, Side};
use super::{immediate, mutation};
use crate::access::Caller;
use crate::answers::Owner;
use crate::errors::ApiError;
use crate::headers;
use crate::in_flight::Phase;
use crate::intake;

/// Decides about a request whose body is there.
pub(super) async fn decide(mut taken: Taken, body: Bytes, shape: Shape, after: After) -> Turn {
    let original = body.clone();
    let parsed = match intake::parse(taken.dialect, body, taken.door.limits.messages).await {
        Ok(parsed) => parsed,
        Err(error) => return taken.refuse(error),
    };
    intake::note_request(&parsed, &mut taken.record);
    intake::note_metadata(&taken.door.tracing.load().attributes, &parsed, &mut taken.record);
    let request = intake::request(parsed, &taken.caller, &taken.pipeline.policy, &taken.head.headers);
    let limit = match shape {
        // Envoy waits without a limit of its own, and for bodies that take longer.
        Shape::Duplex => taken.door.limits.read_timeout,
        Shape::Whole | Shape::Partial | Shape::AskedFor => taken.door.decision_timeout,
    };
    let deciding = taken.pipeline.decide(&request, &mut taken.record);
    let Ok(outcome) = tokio::time::timeout(limit, deciding).await else {
        let message = "The router could not decide about the request in time. Try again in a moment.";
        taken.record.fail("decision_timeout", Text::trusted("the decision took longer than its limit"));
        return taken.refuse(ApiError::new(ErrorCode::OverCapacity, message));
    };
    match outcome {
        Outcome::Refuse(refusal) => refuse(taken, &request, refusal),
        Outcome::Answer(hit) => {
            let prepared = replay::stored(&request, &hit.answer.body);
            immediate::prepared(prepared, taken.record, taken.ticket)
        }
        Outcome::Forward(plan) => {
            let sent = Sent::Seen { original, shape, after };
            forward(taken, request, plan, sent).await
        }
    }
}

/// Decides about a request whose body Envoy does not show.
pub(super) async fn decide_unseen(mut taken: Taken) -> Turn {
    let parsed = match unseen(taken.dialect) {
        Ok(parsed) => parsed,
        Err(error) => return taken.refuse(error),
    };
    let request = intake::request(parsed, &taken.caller, &taken.pipeline.policy, &taken.head.headers);
    match taken.pipeline.decide_unseen(&request, &mut taken.record) {
        Ok(plan) => forward(taken, request, plan, Sent::Unseen).await,
        Err(refusal) => refuse(taken, &request, refusal),
    }
}

/// A request of this dialect that says nothing: what is not seen is asked nothing.
fn unseen(dialect: Dialect) -> Result<ParsedRequest, ApiError> {
    let body: &'static str = match dialect {
        Dialect::ChatCompletions => r#"{"messages":[{"role":"user","content":""}]}"#,
        Dialect::Completions => r#"{"prompt":""}"#,
        Dialect::Embeddings => r#"{"input":""}"#,
    };
    ParsedRequest::parse(dialect, Bytes::from_static(body.as_bytes())).map_err(|error| ApiError::from(&error))
}

fn refuse(taken: Taken, request: &Request, refusal: Refusal) -> Turn {
    match intake::polite_refusal(request, &refusal, taken.record.trace_id) {
        Some(prepared) => immediate::prepared(prepared, taken.record, taken.ticket),
        None => taken.refuse(ApiError::from(refusal)),
    }
}

/// What Envoy showed of a request, and how it takes changes.
enum Sent {
    Seen { original: Bytes, shape: Shape, after: After },
    Unseen,
}

/// Chooses an endpoint whose address is known, and lets Envoy send the request there.
async fn forward(taken: Taken, request: Request, plan: Plan, sent: Sent) -> Turn {
    let Taken { door, pipeline, record, ticket, caller, head, modes, .. } = taken;
    let mut exchange = Box::new(Exchange::new(pipeline, request, plan, record));
    if modes.response == BodyMode::None {
        exchange.sees_only_head();
    }
    ticket.phase(Phase::Waiting);
    loop {
        let attempt = match exchange.attempt() {
            Ok(attempt) => attempt,
            Err(refusal) => {
                return immediate::told(refusal.into(), Some(Owner::Exchange(exchange)), Some(ticket));
            }
        };
        let address = match door.names.address(&attempt.endpoint.address, door.decision_timeout).await {
            Ok(address) => address.to_string(),
            Err(unknown) => {
                let kind = UpstreamFaultKind::Unreachable;
                let description = Text::from_outside(&unknown.to_string());
                match exchange.lost(UpstreamFault { kind, description }) {
                    Lost::Retry => continue,
                    Lost::Refuse(refusal) => {
                        let owner = Owner::Exchange(exchange);
                        return immediate::told(refusal.into(), Some(owner), Some(ticket));
                    }
                    Lost::Break(_) | Lost::Abort => {
                        return Turn::broken(tonic::Status::internal("the answer broke before it began"));
                    }
                }
            }
        };
        exchange.hand_over();
        let propagators = exchange.record().map(|record| record.propagators).unwrap_or_default();
        let replies = going_on(&head, &caller, &attempt, &address, propagators, sent);
        let deadline = Instant::now() + attempt.endpoint.timeouts.total;
        let forwarded = Forwarded::new(exchange, ticket, modes, deadline);
        return Turn::of(State::Forwarded(Box::new(forwarded)), replies);
    }
}

/// The replies that send the request to its endpoint.
fn going_on(
    head: &Head,
    caller: &Caller,
    attempt: &Attempt,
    address: &str,
    propagators: trace::propagation::Propagators,
    sent: Sent,
) -> Vec<Reply> {
    let mut wanted = headers::to_backend(&head.headers, caller, attempt, propagators);
    if let Ok(address) = http::HeaderValue::try_from(address) {
        wanted.insert(DESTINATION, address);
    }
    let Sent::Seen { original, shape, after } = sent else {
        // Its body goes on as it came, and with it everything that says what it is.
        for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_TYPE] {
            wanted.remove(&name);
            if let Some(value) = head.headers.get(&name) {
                wanted.insert(name, value.clone());
            }
        }
        return vec![replies::head(
            Side::Request,
            with_path(mutation::between(&head.headers, &wanted), head, attempt),
        )];
    };
    if shape != Shape::Duplex {
        // Envoy compares; without a length, as in chunks, it needs none.
        if head.headers.contains_key(header::CONTENT_LENGTH) {
            wanted.insert(header::CONTENT_LENGTH, attempt.body.len().into());
        }
        let changes = with_path(mutation::between(&head.headers, &wanted), head, attempt);
        let body = if attempt.body == original { Body::Kept } else { Body::Replaced(attempt.body.clone()) };
        return vec![replies::body(Side::Request, changes, body)];
    }
    let changes = with_path(mutation::between(&head.headers, &wanted), head, attempt);
    let mut going = vec![replies::head(Side::Request, changes)];
    going.extend(replies::pieces(Side::Request, &attempt.body, last_before(after)));
    if after == After::Trailers {
        going.push(replies::trailers(Side::Request));
    }
    going
}

/// The path of the endpoint's API, with the query as it came.
fn with_path(mut changes: HeaderMutation, head: &Head, attempt: &Attempt) -> HeaderMutation {
    if *head.path() != *attempt.path {
        let query = head.target.find('?').map(|start| &head.target[start..]).unwrap_or_default();
        mutation::set(&mut changes, ":path", &format!("{}{query}", Arc::clone(&attempt.path)));
    }
    changes
}
