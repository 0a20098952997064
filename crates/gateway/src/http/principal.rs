//! Who calls, by the headers and the connection of a request.

use dialects::response::ErrorCode;
use http::HeaderMap;
use http::header;

use super::errors::ApiError;
use crate::access::{Access, Caller, Claim};
use crate::connection::Peer;

/// Checks who calls.
///
/// # Errors
///
/// 401 when keys are required and the request has none that is known.
pub(crate) fn establish(
    access: &Access,
    headers: &HeaderMap,
    peer: Option<&Peer>,
) -> Result<Caller, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let claim = Claim {
        authorization: text(header::AUTHORIZATION.as_str()),
        user: text(&access.user_header),
        session: text(&access.session_header),
        peer: peer.map(|peer| peer.0.ip()),
    };
    access.establish(claim).map_err(|_| {
        let message = match claim.authorization {
            Some(_) => "The API key is not known to this router. Check it, or ask the router's operator for one.",
            None => "An API key is needed: send it as `Authorization: Bearer KEY`. Ask the router's operator for one.",
        };
        ApiError::new(ErrorCode::InvalidApiKey, message)
    })
}
