//! Paths and who answers them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{MethodRouter, get, post};
use dialects::Dialect;
use dialects::response::ErrorCode;
use http::Request;

use super::answer::Response;
use super::{HttpDoor, classify, dry_run, forward, health, models, openapi, receive};
use crate::errors::ApiError;

pub(crate) const CHAT_COMPLETIONS: &str = "/v1/chat/completions";
pub(crate) const COMPLETIONS: &str = "/v1/completions";
pub(crate) const EMBEDDINGS: &str = "/v1/embeddings";
pub(crate) const MODELS: &str = "/v1/models";
pub(crate) const MODEL: &str = "/v1/models/{model}";
pub(crate) const CLASSIFY_INTENT: &str = "/api/v1/classify/intent";
pub(crate) const CLASSIFY_PII: &str = "/api/v1/classify/pii";
pub(crate) const CLASSIFY_SECURITY: &str = "/api/v1/classify/security";
pub(crate) const CLASSIFY_COMBINED: &str = "/api/v1/classify/combined";
pub(crate) const CLASSIFY_BATCH: &str = "/api/v1/classify/batch";
pub(crate) const DRY_RUN: &str = "/api/v1/route";
pub(crate) const HEALTH: &str = "/health";
pub(crate) const READY: &str = "/ready";
pub(crate) const VERSION: &str = "/version";
pub(crate) const OPENAPI: &str = "/openapi.json";

/// The route of a path that nobody answers.
const OTHER: &str = "_OTHER";

/// Every route of the door: all values of `http.route` but `_OTHER`.
pub const ROUTES: [&str; 15] = [
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    MODELS,
    MODEL,
    CLASSIFY_INTENT,
    CLASSIFY_PII,
    CLASSIFY_SECURITY,
    CLASSIFY_COMBINED,
    CLASSIFY_BATCH,
    DRY_RUN,
    HEALTH,
    READY,
    VERSION,
    OPENAPI,
];

type Door = Arc<HttpDoor>;

pub(crate) fn router(door: Door) -> Router {
    Router::new()
        .route(CHAT_COMPLETIONS, model_route(CHAT_COMPLETIONS, Dialect::ChatCompletions))
        .route(COMPLETIONS, model_route(COMPLETIONS, Dialect::Completions))
        .route(EMBEDDINGS, model_route(EMBEDDINGS, Dialect::Embeddings))
        .route(MODELS, only_get(MODELS, get(models::list)))
        // Names of models may have slashes in them.
        .route("/v1/models/{*model}", only_get(MODEL, get(models::one)))
        .route(CLASSIFY_INTENT, only_post(CLASSIFY_INTENT, post(classify::intent)))
        .route(CLASSIFY_PII, only_post(CLASSIFY_PII, post(classify::pii)))
        .route(CLASSIFY_SECURITY, only_post(CLASSIFY_SECURITY, post(classify::security)))
        .route(CLASSIFY_COMBINED, only_post(CLASSIFY_COMBINED, post(classify::combined)))
        .route(CLASSIFY_BATCH, only_post(CLASSIFY_BATCH, post(classify::batch)))
        .route(DRY_RUN, only_post(DRY_RUN, post(dry_run::route)))
        .route(HEALTH, only_get(HEALTH, get(health::alive)))
        .route(READY, only_get(READY, get(health::ready)))
        .route(VERSION, only_get(VERSION, get(health::version)))
        .route(OPENAPI, only_get(OPENAPI, get(openapi::document)))
        .fallback(not_found)
        .with_state(door)
}

/// A route to models.
fn model_route(route: &'static str, dialect: Dialect) -> MethodRouter<Door> {
    let handler = move |State(door): State<Door>, request: Request<Body>| async move {
        forward::handle(door, request, route, dialect).await
    };
    only_post(route, post(handler))
}

fn only_get(route: &'static str, methods: MethodRouter<Door>) -> MethodRouter<Door> {
    with_fallback(route, methods, "GET")
}

fn only_post(route: &'static str, methods: MethodRouter<Door>) -> MethodRouter<Door> {
    with_fallback(route, methods, "POST")
}

/// Answers other methods in the API's form.
fn with_fallback(
    route: &'static str,
    methods: MethodRouter<Door>,
    allow: &'static str,
) -> MethodRouter<Door> {
    methods.fallback(move |State(door): State<Door>, request: Request<Body>| async move {
        refuse(door, request, route, ApiError::method_not_allowed(allow)).await
    })
}

async fn not_found(State(door): State<Door>, request: Request<Body>) -> Response {
    let message =
        "No API has this path; GET /openapi.json lists those there are. Check the base URL of the client.";
    refuse(door, request, OTHER, ApiError::new(ErrorCode::NotFound, message)).await
}

async fn refuse(door: Door, request: Request<Body>, route: &'static str, error: ApiError) -> Response {
    match receive::arrive(door, request, route).await {
        Ok(arrival) => arrival.refuse(error).await,
        Err(response) => *response,
    }
}
