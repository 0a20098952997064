//! Every error that a door answers with, and the only table from the API's codes to HTTP statuses.

use bytes::Bytes;
use dialects::request::RequestError;
use dialects::response::{ErrorBody, ErrorCode};
use http::{HeaderName, HeaderValue, StatusCode, header};
use pipeline::outcome::{self, Refusal};
use trace::{Record, Text};

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

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        if self.allow.is_some() { StatusCode::METHOD_NOT_ALLOWED } else { status(self.code) }
    }

    /// The header that belongs to the status.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
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

    /// Notes the error as the outcome of a request.
    pub(crate) fn note(&self, record: &mut Record) {
        record.refusal.get_or_insert(self.code.as_str());
        if outcome::is_fault(self.code) && record.fault.is_none() {
            record.fail(self.code.as_str(), Text::from_outside(&self.message));
        }
    }

    /// The body of the answer. A message may name what the caller sent, such as a model; a credential in it is not repeated.
    pub(crate) fn body(&self) -> Bytes {
        let mut body = ErrorBody::new(self.code, trace::redact(&self.message));
        body.param.clone_from(&self.param);
        body.to_bytes()
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
