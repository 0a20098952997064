//! `GET /openapi.json`: what this door answers, as an OpenAPI 3.1 document.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::HttpDoor;
use super::answer::Response;
use super::health::public;
use super::routes::OPENAPI;

/// The document without the version, which is the program's.
const DOCUMENT: &str = include_str!("openapi.json");

pub(crate) async fn document(State(door): State<Arc<HttpDoor>>, request: Request<Body>) -> Response {
    // A test reads the file, so that it is an object; asked for so rarely that keeping the parsed form is not worth it.
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_else(|_| json!({"info": {}}));
    document["info"]["version"] = json!(door.service.version);
    public(&door, request, OPENAPI, StatusCode::OK, &document)
}
