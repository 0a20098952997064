//! The listener of the door.

use std::sync::Arc;

use super::{HttpDoor, routes};
use crate::connection::{self, ConnectionLimits};
use crate::listener::Listener;

/// Header lines above the limit that are still parsed, so that a request a little too large gets an answer in the API's
/// form; far larger ones get the protocol's bare 431.
const SPARE_HEADERS: usize = 28;

/// Serves on a bound listener until `shutdown` completes; returns when answers in progress have ended or the drain time is over.
pub async fn serve(listener: impl Into<Listener>, door: Arc<HttpDoor>, shutdown: impl Future<Output = ()>) {
    let limits = ConnectionLimits {
        connections: door.limits.connections,
        head_timeout: door.limits.head_timeout,
        header_bytes: door.limits.header_bytes.saturating_mul(2),
        headers: door.limits.headers.saturating_add(SPARE_HEADERS),
        streams: connection::CLIENT_STREAMS,
        drain: door.limits.drain,
    };
    connection::serve(listener.into(), routes::router(door), limits, shutdown).await;
}
