//! `POST /api/v1/route`: what would become of a request.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use dialects::response::ErrorCode;
use http::Request;

use super::HttpDoor;
use super::answer::Response;
use super::errors::ApiError;
use super::receive;
use super::routes::DRY_RUN;

pub(crate) async fn route(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    match receive::arrive(door, request, DRY_RUN) {
        Ok(a) => ApiError::new(ErrorCode::NotFound, "Not yet.").answer(a.record, Some(a.ticket)),
        Err(response) => *response,
    }
}
