//! Every error that this door answers with, and the only table from the API's codes to HTTP statuses.

use axum::body::Body;
use dialects::request::RequestError;
use dialects::response::{ErrorBody, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pipeline::outcome::{self, Refusal};
use trace::{ActiveRecord, Text};

use super::answer::{Content, Owner, Response, answer, respond};
use super::receive::RequestNames;
use crate::in_flight::Ticket;

/// An error on its way to the client.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// The method that the path takes, where the request came with another; the status is then 405.
    allow: Option<&'static str>,
}

/// Seconds after which a client may try again; what is full now is rarely full for longer.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The status of a code.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidJson | ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::InvalidApiKey => StatusCode::UNAUTHORIZED,
        ErrorCode::JailbreakDetected
        | ErrorCode::PiiBlocked
        | ErrorCode::RequestBlocked
        | ErrorCode::ModelNotAllowed => StatusCode::FORBIDDEN,
        ErrorCode::ModelNotFound | ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited | ErrorCode::OverCapacity => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::UpstreamInvalid | ErrorCode::UpstreamUnreachable => StatusCode::BAD_GATEWAY,
        ErrorCode::NoBackend => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError { code, message: message.into(), param: None, allow: None }
    }

    pub(crate) fn with_param(mut self, param: &str) -> ApiError {
        self.param = Some(param.to_owned());
        self
    }

    /// The path exists, but not with this method.
    pub(crate) fn method_not_allowed(allow: &'static str) -> ApiError {
        let message = format!("This path answers only {allow}. Use that method.");
        ApiError { allow: Some(allow), ..ApiError::new(ErrorCode::InvalidRequest, message) }
    }

    fn status(&self) -> StatusCode {
        if self.allow.is_some() { StatusCode::METHOD_NOT_ALLOWED } else { status(self.code) }
    }

    /// The header that belongs to the status.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        if let Some(allow) = self.allow {
            return Some((header::ALLOW, HeaderValue::from_static(allow)));
        }
        match self.code {
            ErrorCode::RateLimited | ErrorCode::OverCapacity | ErrorCode::NoBackend => {
                Some((header::RETRY_AFTER, RETRY_AFTER))
            }
            ErrorCode::InvalidApiKey => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            _ => None,
        }
    }

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
        record.refusal.get_or_insert(self.code.as_str());
        if outcome::is_fault(self.code) && record.fault.is_none() {
            record.fail(self.code.as_str(), Text::from_outside(&self.message));
        }
        self.answer_owned(Owner::Record(record), ticket)
    }

    /// The answer, whose outcome its owner knows already.
    pub(crate) fn answer_owned(self, owner: Owner, ticket: Option<Ticket>) -> Response {
        let (status, header) = (self.status(), self.header());
        // A message may name what the caller sent, such as a model; a credential in it is not repeated.
        let mut body = ErrorBody::new(self.code, trace::redact(&self.message));
        body.param = self.param;
        let mut response = answer(status, Content::json(body.to_bytes()), owner, ticket);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let param = refusal.param.map(str::to_owned);
        ApiError { param, ..ApiError::new(refusal.code, refusal.message) }
    }
}

impl From<&RequestError> for ApiError {
    fn from(error: &RequestError) -> ApiError {
        let code = match error {
            RequestError::InvalidJson { .. } => ErrorCode::InvalidJson,
            RequestError::InvalidRequest { .. } => ErrorCode::InvalidRequest,
        };
        ApiError { param: error.param().map(str::to_owned), ..ApiError::new(code, error.to_string()) }
    }
}
