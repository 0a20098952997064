//! Who may use the admin door.
//!
//! A page in a browser on this machine could reach a loopback door: by a name that it points here (hence the list of
//! hosts), or by a form (hence the check of `origin`, and the custom header that a form cannot send). Reading from
//! another machine needs the token too.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, Request, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{AdminDoor, audit, error};
use crate::access::bearer;
use crate::connection::Peer;

/// The header that changes need.
const ADMIN_HEADER: &str = "x-vsr-admin";

pub(super) async fn guard(
    State(door): State<Arc<AdminDoor>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    match check(&door, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            if is_change(request.method()) {
                audit::Line::new("change", request.headers()).refused();
            }
            error(refusal.status, refusal.code, refusal.message)
        }
    }
}

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

fn check(door: &AdminDoor, request: &Request<Body>) -> Result<(), Refusal> {
    let headers = request.headers();
    let forbidden = |message| Err(Refusal { status: StatusCode::FORBIDDEN, code: "forbidden", message });
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    if !host.is_some_and(|host| is_listed(door, host)) {
        return forbidden(
            "The admin door is not called by this name. Call it by its address, or list the name.",
        );
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
        if !host.is_some_and(|host| is_listed(door, host)) {
            return forbidden("Pages of other sites may not use the admin door.");
        }
    }
    let here =
        request.extensions().get::<Peer>().is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    if !is_change(request.method()) && here {
        return Ok(());
    }
    let Some(expected) = &door.token_sha256 else {
        return forbidden(
            "No admin token is set, so that nothing can be changed here. Set one in the settings.",
        );
    };
    if !has_token(headers, expected) {
        let message = "This needs the admin token: send it as `Authorization: Bearer TOKEN`.";
        return Err(Refusal { status: StatusCode::UNAUTHORIZED, code: "invalid_api_key", message });
    }
    if is_change(request.method()) && headers.get(ADMIN_HEADER).is_none_or(|value| value != "1") {
        return forbidden("Changes need the header `x-vsr-admin: 1`.");
    }
    Ok(())
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn has_token(headers: &HeaderMap, expected: &[u8; 32]) -> bool {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = authorization.and_then(bearer) else { return false };
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    expected.ct_eq(&digest).into()
}

/// Whether a host, with or without port, is in the list.
fn is_listed(door: &AdminDoor, host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    door.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}
