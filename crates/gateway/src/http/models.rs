//! `GET /v1/models`: the configured models that the caller may use, and the two names that ask for routing. One of them
//! alone by `GET /v1/models/{model}`.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use dialects::response::ErrorCode;
use http::{Request, StatusCode};
use serde_json::json;

use super::HttpDoor;
use super::answer::{Content, Owner, Response, answer};
use super::receive::{self, Arrival};
use super::routes::{MODEL, MODELS};
use crate::errors::ApiError;

/// The names by which a client asks for routing.
const ROUTED: [&str; 2] = ["auto", "MoM"];

pub(crate) async fn list(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    let arrival = match receive::arrive(door, request, MODELS).await {
        Ok(arrival) => arrival,
        Err(response) => return *response,
    };
    let body = dialects::response::models_list(visible(&arrival), created(&arrival));
    answer(StatusCode::OK, Content::json(body), Owner::Record(arrival.record), Some(arrival.ticket))
}

pub(crate) async fn one(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    let arrival = match receive::arrive(door, request, MODEL).await {
        Ok(arrival) => arrival,
        Err(response) => return *response,
    };
    let name = arrival.head.uri.path().strip_prefix(MODELS).and_then(|rest| rest.strip_prefix('/'));
    let Some((id, owned_by)) = visible(&arrival).find(|(known, _)| Some(*known) == name) else {
        let message = "There is no model of this name, or this caller may not use it. GET /v1/models lists those there are.";
        let error = ApiError::new(ErrorCode::ModelNotFound, message).with_param("model");
        return error.answer(arrival.record, Some(arrival.ticket));
    };
    let created = created(&arrival);
    let body = json!({"id": id, "object": "model", "created": created, "owned_by": owned_by});
    let content = Content::json(Bytes::from(body.to_string()));
    answer(StatusCode::OK, content, Owner::Record(arrival.record), Some(arrival.ticket))
}

/// Each name that the caller may ask for, with its owner.
fn visible(arrival: &Arrival) -> impl Iterator<Item = (&str, &str)> {
    let principal = &arrival.caller.principal;
    let models = arrival.pipeline.policy.models.iter().filter(|model| principal.may_use(&model.name));
    let routed = ROUTED.iter().map(|name| (*name, &*arrival.door.service.name));
    routed.chain(models.map(|model| (&*model.name, &*model.provider)))
}

/// When the service started, in seconds since 1970: models have no age of their own here.
fn created(arrival: &Arrival) -> u64 {
    arrival.door.service.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
