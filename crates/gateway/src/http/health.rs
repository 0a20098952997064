//! What a platform asks of a service: whether it lives, whether it can serve, and which version it is.
//!
//! No key is needed and no place in the in-flight table taken: these must answer when the router is full. The probes
//! leave a record only under a sampled parent.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde_json::{Value, json};

use super::HttpDoor;
use super::answer::{Content, Owner, Response, answer, respond};
use super::receive;
use super::routes::{HEALTH, READY, VERSION};

pub(crate) async fn alive(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    probe(&door, request, HEALTH, StatusCode::OK, &json!({"status": "ok"}))
}

pub(crate) async fn ready(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    let (status, body) = match (door.ready)() {
        Ok(()) => (StatusCode::OK, json!({"status": "ready"})),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not ready", "reason": reason})),
    };
    probe(&door, request, READY, status, &body)
}

pub(crate) async fn version(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    let body = json!({
        "name": door.service.name,
        "version": door.service.version,
        "config_version": door.pipeline.load().policy.version,
    });
    public(&door, request, VERSION, StatusCode::OK, &body)
}

/// Answers without a key, and with a record.
pub(crate) fn public(
    door: &HttpDoor,
    request: Request<Body>,
    route: &'static str,
    status: StatusCode,
    body: &Value,
) -> Response {
    let (head, _) = request.into_parts();
    let record = receive::begin(door, &door.pipeline.load(), &head, route, trace::Clock::start());
    answer(status, content(body), Owner::Record(record), None)
}

fn probe(
    door: &HttpDoor,
    request: Request<Body>,
    route: &'static str,
    status: StatusCode,
    body: &Value,
) -> Response {
    let propagators = door.tracing.load().propagators;
    let incoming = crate::intake::incoming_context(propagators, request.headers());
    let sampled = incoming.is_some_and(|context| context.flags.sampled());
    if sampled {
        return public(door, request, route, status, body);
    }
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    respond(status, headers, Body::from(body.to_string()))
}

fn content(body: &Value) -> Content {
    Content::json(Bytes::from(body.to_string()))
}
