//! Error bodies in the API's form: `{"error":{"message","type","param","code"}}`.

use bytes::Bytes;
use serde::Serialize;

/// Every error that the router itself answers with. The HTTP status belongs to the door, not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The body is not JSON.
    InvalidJson,
    /// The body or a member of it is not what the API takes.
    InvalidRequest,
    /// No key, or not one that is known.
    InvalidApiKey,
    /// The prompt was taken for a jailbreak.
    JailbreakDetected,
    /// The prompt holds personal data that no candidate may see.
    PiiBlocked,
    /// A rule of the operator's blocks the request for another reason.
    RequestBlocked,
    /// The caller may not use the model that it names.
    ModelNotAllowed,
    /// No model of that name.
    ModelNotFound,
    /// No endpoint of that path.
    NotFound,
    /// The client took too long to send its request.
    RequestTimeout,
    /// The body or a header is longer than allowed.
    RequestTooLarge,
    /// The caller's rate is used up.
    RateLimited,
    /// The router or every backend is full.
    OverCapacity,
    /// The backend's answer could not be read.
    UpstreamInvalid,
    /// The backend could not be reached.
    UpstreamUnreachable,
    /// No backend is configured or alive for the request.
    NoBackend,
    /// The backend took too long.
    UpstreamTimeout,
    /// The router's own fault.
    Internal,
}

impl ErrorCode {
    /// The word in `code`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidApiKey => "invalid_api_key",
            Self::JailbreakDetected => "jailbreak_detected",
            Self::PiiBlocked => "pii_blocked",
            Self::RequestBlocked => "request_blocked",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::RequestTimeout => "request_timeout",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimited => "rate_limited",
            Self::OverCapacity => "over_capacity",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::NoBackend => "no_backend",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }

    /// The word in `type`: the broader class.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::InvalidJson | Self::InvalidRequest | Self::NotFound | Self::RequestTooLarge => {
                "invalid_request_error"
            }
            // So does OpenAI's own API class these two.
            Self::ModelNotFound | Self::InvalidApiKey => "invalid_request_error",
            Self::JailbreakDetected | Self::PiiBlocked | Self::RequestBlocked | Self::ModelNotAllowed => {
                "permission_error"
            }
            Self::RateLimited | Self::OverCapacity => "rate_limit_error",
            Self::RequestTimeout | Self::UpstreamTimeout => "timeout_error",
            Self::UpstreamInvalid | Self::UpstreamUnreachable | Self::NoBackend => "upstream_error",
            Self::Internal => "server_error",
        }
    }
}

/// The inside of an error body. Whoever makes one sees to it that the message holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// A sentence for people: what happened and what to do.
    pub message: String,
    /// The broader class.
    #[serde(rename = "type")]
    pub kind: String,
    /// The member of the request at fault.
    pub param: Option<String>,
    /// The word for programs.
    pub code: Option<String>,
}

impl ErrorBody {
    /// An error of ours.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let kind = code.kind().to_owned();
        Self { message: message.into(), kind, param: None, code: Some(code.as_str().to_owned()) }
    }

    /// The same error, with the member of the request that is at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The body: `{"error":{…}}`.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let body = serde_json::json!({ "error": self });
        Bytes::from(body.to_string())
    }
}

impl From<&crate::request::RequestError> for ErrorBody {
    fn from(error: &crate::request::RequestError) -> Self {
        use crate::request::RequestError;
        let code = match error {
            RequestError::InvalidJson { .. } => ErrorCode::InvalidJson,
            RequestError::InvalidRequest { .. } => ErrorCode::InvalidRequest,
        };
        let body = Self::new(code, error.to_string());
        match error.param() {
            Some(param) => body.with_param(param),
            None => body,
        }
    }
}
