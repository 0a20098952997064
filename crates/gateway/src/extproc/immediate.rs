//! Answers that come from here and not from a backend: errors, refusals, remembered answers.

use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::ImmediateResponse;
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pipeline::exchange::Exchange;
use pipeline::replay::Prepared;
use trace::{ActiveRecord, Observed};

use super::conversation::{State, Turn};
use super::{mutation, replies};
use crate::answers::{EVENT_STREAM, Owner, record_headers, stream_headers};
use crate::errors::ApiError;
use crate::in_flight::{Phase, Ticket};

/// An answer whose last piece is under way to Envoy.
pub(super) struct Answered {
    owner: Option<Owner>,
    _ticket: Option<Ticket>,
}

impl Answered {
    /// A backend's answer whose last piece is under way.
    pub(super) fn by_backend(exchange: Box<Exchange>, ticket: Ticket) -> Answered {
        Answered { owner: Some(Owner::Exchange(exchange)), _ticket: Some(ticket) }
    }

    /// Envoy has it: the request is over.
    pub(super) fn sent(self) {
        if let Some(owner) = self.owner {
            owner.finish();
        }
    }
}

/// An error, which is noted as the outcome of the request.
pub(super) fn error(error: ApiError, mut record: ActiveRecord, ticket: Option<Ticket>) -> Turn {
    error.note(&mut record);
    told(error, Some(Owner::Record(record)), ticket)
}

/// An error whose outcome its owner knows already; nobody owns it where there was no head to begin a record with.
pub(super) fn told(error: ApiError, owner: Option<Owner>, ticket: Option<Ticket>) -> Turn {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(error.header());
    answer(error.status(), headers, error.body(), owner, ticket)
}

/// What the pipeline prepared.
pub(super) fn prepared(prepared: Prepared, record: ActiveRecord, ticket: Ticket) -> Turn {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(prepared.content_type));
    if prepared.content_type == EVENT_STREAM {
        stream_headers(&mut headers);
    }
    let body = match prepared.pieces.as_slice() {
        [only] => only.clone(),
        pieces => Bytes::from(pieces.concat()),
    };
    answer(StatusCode::OK, headers, body, Some(Owner::Record(record)), Some(ticket))
}

fn answer(
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
    mut owner: Option<Owner>,
    ticket: Option<Ticket>,
) -> Turn {
    let mut details = "semantic_router";
    if let Some(record) = owner.as_mut().and_then(Owner::record_mut) {
        record.http_status = Some(status.as_u16());
        // What answers from here hides nothing from us.
        record.request.observed = Observed::Body;
        record_headers(record, &mut headers);
        details = record.refusal.unwrap_or(details);
    }
    if let Some(ticket) = &ticket {
        ticket.phase(Phase::Answering);
        ticket.went_out(body.len());
    }
    let response = ImmediateResponse {
        status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
        headers: Some(mutation::all(&headers)),
        body: body.into(),
        details: details.to_owned(),
        ..ImmediateResponse::default()
    };
    let state = State::Answered(Answered { owner, _ticket: ticket });
    Turn::of(state, vec![replies::immediate(response)])
}
