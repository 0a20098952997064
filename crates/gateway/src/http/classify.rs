//! The classification API.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use dialects::response::ErrorCode;
use http::Request;

use super::HttpDoor;
use super::answer::Response;
use super::errors::ApiError;
use super::receive;
use super::routes::*;

pub(crate) async fn intent(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    not_yet(door, request, CLASSIFY_INTENT)
}
pub(crate) async fn pii(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    not_yet(door, request, CLASSIFY_PII)
}
pub(crate) async fn security(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    not_yet(door, request, CLASSIFY_SECURITY)
}
pub(crate) async fn combined(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    not_yet(door, request, CLASSIFY_COMBINED)
}
pub(crate) async fn batch(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    not_yet(door, request, CLASSIFY_BATCH)
}

fn not_yet(door: Arc<HttpDoor>, request: Request<Body>, route: &'static str) -> Response {
    match receive::arrive(door, request, route) {
        Ok(a) => ApiError::new(ErrorCode::NotFound, "Not yet.").answer(a.record, Some(a.ticket)),
        Err(response) => *response,
    }
}
