//! The admin door: what operators see and change while the router runs.
//!
//! It is for operators and their tools, never for clients of the models. What it shows and does is behind
//! [`Operations`], which the server implements. Invariant: every request passes the guard; nothing changes without the
//! token and the custom header, and every change leaves an audit line.

mod audit;
mod guard;
mod sampling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::connection::{self, ConnectionLimits};
use crate::in_flight::InFlight;
use crate::listener::Listener;
use crate::tracing_policy::TracingPolicy;

/// What the admin door works with.
pub struct AdminDoor {
    /// SHA-256 of the token that changes need; `None` means that nothing can be changed.
    pub token_sha256: Option<[u8; 32]>,
    /// Names and addresses by which the door may be called, without port; see [`AdminDoor::local_hosts`].
    pub hosts: Vec<String>,
    /// Everything in flight.
    pub in_flight: Arc<InFlight>,
    /// How traces begin.
    pub tracing: Arc<ArcSwap<TracingPolicy>>,
    /// What the server shows and does.
    pub operations: Arc<dyn Operations>,
}

/// What the server shows and does for its operators. Every call may block for a moment; none is made on a thread that
/// serves requests.
pub trait Operations: Send + Sync {
    /// The endpoints as they stand.
    fn backends(&self) -> Vec<upstream::EndpointStatus>;
    /// The cache: an object such as `{"backend","entries","bytes"}`.
    fn cache(&self) -> Value;
    /// Forgets all remembered answers; how many there were, where that is known.
    ///
    /// # Errors
    ///
    /// A sentence for the operator.
    fn clear_cache(&self) -> Result<Option<u64>, String>;
    /// The settings in force, without secrets.
    fn config(&self) -> Value;
    /// Reads the settings again and puts them in force.
    ///
    /// # Errors
    ///
    /// Every mistake in them; the old ones stay in force.
    fn reload(&self) -> Result<Reloaded, Vec<String>>;
}

/// Settings that were read again.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// The version now in force.
    pub config_version: Arc<str>,
    /// What takes effect only after a restart, such as a changed listener.
    pub needs_restart: Vec<String>,
}

impl AdminDoor {
    /// The names of this machine itself: what a door on loopback is called by.
    #[must_use]
    pub fn local_hosts() -> Vec<String> {
        ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    }

    /// The hash of a token, as [`AdminDoor::token_sha256`] holds it.
    #[must_use]
    pub fn hash(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 64,
    head_timeout: Duration::from_secs(75),
    header_bytes: 16 * 1024,
    headers: 100,
    streams: connection::CLIENT_STREAMS,
    drain: Duration::from_secs(2),
};

/// Largest body of a change, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

type Door = State<Arc<AdminDoor>>;

/// Serves on a bound listener until `shutdown` completes.
pub async fn serve_admin(
    listener: impl Into<Listener>,
    door: Arc<AdminDoor>,
    shutdown: impl Future<Output = ()>,
) {
    connection::serve(listener.into(), router(door), LIMITS, shutdown).await;
}

fn router(door: Arc<AdminDoor>) -> Router {
    Router::new()
        .route("/admin/v1/in-flight", get(in_flight))
        .route("/admin/v1/backends", get(backends))
        .route("/admin/v1/cache", get(cache).delete(clear_cache))
        .route("/admin/v1/sampling", get(sampling::show).patch(sampling::change))
        .route("/admin/v1/config", get(config))
        .route("/admin/v1/reload", post(reload))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&door), guard::guard))
        .with_state(door)
}

async fn in_flight(State(door): Door) -> Json<Value> {
    let requests = door.in_flight.list();
    Json(json!({"count": requests.len(), "requests": requests}))
}

async fn backends(State(door): Door) -> Response {
    let now = Instant::now();
    let shown = move |status: upstream::EndpointStatus| {
        let left = status.ejected_until.map(|until| until.saturating_duration_since(now).as_millis());
        json!({
            "name": status.name,
            "origin": status.origin,
            "in_flight": status.in_flight,
            "consecutive_failures": status.consecutive_failures,
            "known_dead": status.is_known_dead(),
            "ejected_for_ms": left.map(|left| u64::try_from(left).unwrap_or(u64::MAX)),
        })
    };
    on_blocking_thread(door, move |operations| {
        let endpoints: Vec<Value> = operations.backends().into_iter().map(shown).collect();
        Json(json!({"endpoints": endpoints})).into_response()
    })
    .await
}

async fn cache(State(door): Door) -> Response {
    on_blocking_thread(door, |operations| Json(operations.cache()).into_response()).await
}

async fn clear_cache(State(door): Door, headers: HeaderMap) -> Response {
    let audit = audit::Line::new("cache.clear", &headers);
    on_blocking_thread(door, move |operations| match operations.clear_cache() {
        Ok(cleared) => {
            audit.done();
            Json(json!({"cleared": cleared})).into_response()
        }
        Err(reason) => {
            audit.failed();
            error(StatusCode::INTERNAL_SERVER_ERROR, "cache_not_cleared", reason)
        }
    })
    .await
}

async fn config(State(door): Door) -> Response {
    on_blocking_thread(door, |operations| Json(operations.config()).into_response()).await
}

async fn reload(State(door): Door, headers: HeaderMap) -> Response {
    let audit = audit::Line::new("config.reload", &headers);
    on_blocking_thread(door, move |operations| match operations.reload() {
        Ok(Reloaded { config_version, needs_restart }) => {
            audit.done();
            Json(json!({"config_version": config_version, "needs_restart": needs_restart})).into_response()
        }
        Err(mistakes) => {
            audit.failed();
            let count = mistakes.len();
            let message = format!(
                "The settings have {count} mistake(s); the old ones stay in force. Correct them and reload again."
            );
            let mut body = error_body("invalid_config", message);
            body["error"]["mistakes"] = json!(mistakes);
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
    })
    .await
}

async fn not_found() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "not_found",
        "The admin API is below /admin/v1: in-flight, backends, cache, sampling, config, reload.",
    )
}

async fn method_not_allowed() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This path does not take this method; see the `allow` header.",
    )
}

async fn on_blocking_thread(
    door: Arc<AdminDoor>,
    work: impl FnOnce(&dyn Operations) -> Response + Send + 'static,
) -> Response {
    let operations = Arc::clone(&door.operations);
    let worked = tokio::task::spawn_blocking(move || work(&*operations)).await;
    worked.unwrap_or_else(|_| {
        error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The router failed at this; its log says more. This is a bug of the router.",
        )
    })
}

/// An error in the API's form.
fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> Response {
    (status, Json(error_body(code, message.into()))).into_response()
}

fn error_body(code: &'static str, message: String) -> Value {
    json!({"error": {"message": message, "type": "admin_error", "param": null, "code": code}})
}
