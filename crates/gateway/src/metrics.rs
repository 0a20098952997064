//! The metrics door: `GET /metrics` in the format that the scraper asks for.
//!
//! What the metrics are is none of its business; it is handed a function that writes them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};

use crate::connection::{self, ConnectionLimits};
use crate::listener::Listener;

/// The format of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Prometheus text, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0, which has exemplars.
    OpenMetrics,
}

/// Writes the metrics in a format.
pub type RenderMetrics = Arc<dyn Fn(MetricsFormat) -> String + Send + Sync>;

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 64,
    head_timeout: Duration::from_secs(75),
    header_bytes: 16 * 1024,
    headers: 100,
    streams: connection::CLIENT_STREAMS,
    drain: Duration::from_secs(1),
};

/// Serves on a bound listener until `shutdown` completes.
pub async fn serve_metrics(
    listener: impl Into<Listener>,
    render: RenderMetrics,
    shutdown: impl Future<Output = ()>,
) {
    let router = Router::new().route("/metrics", get(metrics)).fallback(not_found).with_state(render);
    connection::serve(listener.into(), router, LIMITS, shutdown).await;
}

async fn metrics(State(render): State<RenderMetrics>, headers: HeaderMap) -> impl IntoResponse {
    let format = accepted(&headers);
    ([(header::CONTENT_TYPE, format.content_type())], render(format))
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "The metrics are at /metrics.\n")
}

impl MetricsFormat {
    /// Value of `content-type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            MetricsFormat::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            MetricsFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format that `accept` prefers; Prometheus text where it says nothing.
fn accepted(headers: &HeaderMap) -> MetricsFormat {
    let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut best = (MetricsFormat::Prometheus, 0.0);
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default() {
            "application/openmetrics-text" => MetricsFormat::OpenMetrics,
            "text/plain" | "text/*" | "*/*" => MetricsFormat::Prometheus,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if quality > best.1 {
            best = (format, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_scrapers_preference_decides() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        let cases = [
            ("", MetricsFormat::Prometheus),
            ("*/*", MetricsFormat::Prometheus),
            ("text/html, */*;q=0.1", MetricsFormat::Prometheus),
            ("application/openmetrics-text", MetricsFormat::OpenMetrics),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.9", MetricsFormat::Prometheus),
            (prometheus, MetricsFormat::OpenMetrics),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(accepted(&headers), expected, "{accept}");
        }
    }
}
