//! What can be wrong with a request body.

use crate::json::SyntaxError;

/// Why a body was not accepted; always the client's fault. The texts are safe to send back: they hold no
/// value from the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is not well-formed JSON in UTF-8.
    #[error("The request body is not valid JSON: {message} at byte {offset}.")]
    InvalidJson {
        /// What stands there, or what is missing.
        message: String,
        /// Bytes from the start of the body.
        offset: usize,
    },
    /// The body is JSON, but not a request of this dialect.
    #[error("{message}")]
    InvalidRequest {
        /// The member at fault, for instance `messages[2].content`.
        param: Option<String>,
        /// A sentence for people, which names the member too.
        message: String,
    },
}

impl RequestError {
    pub(crate) fn invalid(param: impl Into<String>, problem: &str) -> Self {
        let param = param.into();
        Self::InvalidRequest { message: format!("`{param}` {problem}."), param: Some(param) }
    }

    /// The member at fault, if the fault is one member's.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::InvalidJson { .. } => None,
            Self::InvalidRequest { param, .. } => param.as_deref(),
        }
    }
}

impl From<SyntaxError> for RequestError {
    fn from(error: SyntaxError) -> Self {
        Self::InvalidJson { message: error.message.to_owned(), offset: error.offset }
    }
}
