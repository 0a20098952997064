//! `GET /v1/models`: the configured models that the caller may use, and the two names that ask for routing.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::extract::State;
use http::{Request, StatusCode};

use super::HttpDoor;
use super::answer::{Content, Owner, Response, answer};
use super::receive;
use super::routes::MODELS;

/// The names by which a client asks for routing.
const ROUTED: [&str; 2] = ["auto", "MoM"];

pub(crate) async fn list(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    let arrival = match receive::arrive(door, request, MODELS) {
        Ok(arrival) => arrival,
        Err(response) => return *response,
    };
    let service = &arrival.door.service;
    let created = service.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let principal = &arrival.caller.principal;
    let configured = arrival.pipeline.policy.models.iter().filter(|model| principal.may_use(&model.name));
    let names = ROUTED
        .iter()
        .map(|name| (*name, &*service.name))
        .chain(configured.map(|model| (&*model.name, &*model.provider)));
    let body = dialects::response::models_list(names, created);
    answer(StatusCode::OK, Content::json(body), Owner::Record(arrival.record), Some(arrival.ticket))
}
