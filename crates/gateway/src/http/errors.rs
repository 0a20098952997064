//! Errors as this door answers them.

use axum::body::Body;
use dialects::response::{ErrorBody, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use trace::ActiveRecord;

use super::answer::{Content, Owner, Response, answer, respond};
use super::receive::RequestNames;
use crate::errors::ApiError;
use crate::in_flight::Ticket;

impl ApiError {
    /// The answer to a request whose record is gone, with the names that it had.
    pub(crate) fn panicked(names: &RequestNames) -> Response {
        let message =
            "The router failed at this request; this is a bug of its own. Tell its operator the trace id.";
        let body = ErrorBody::new(ErrorCode::Internal, message).to_bytes();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let traceparent = names.root.traceparent();
        for (name, value) in [
            ("x-request-id", names.request_id.to_string()),
            ("x-trace-id", names.root.trace_id.to_string()),
            ("server-timing", format!("trace;desc={traceparent}")),
            ("traceresponse", traceparent),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        respond(StatusCode::INTERNAL_SERVER_ERROR, headers, Body::from(body))
    }

    /// The answer, with the record as its owner; notes the outcome in it.
    pub(crate) fn answer(self, mut record: ActiveRecord, ticket: Option<Ticket>) -> Response {
        self.note(&mut record);
        self.answer_owned(Owner::Record(record), ticket)
    }

    /// The answer, whose outcome its owner knows already.
    pub(crate) fn answer_owned(self, owner: Owner, ticket: Option<Ticket>) -> Response {
        let (status, header) = (self.status(), self.header());
        let mut response = answer(status, Content::json(self.body()), owner, ticket);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
