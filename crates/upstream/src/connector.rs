//! Opening connections: DNS, TCP and TLS within the time that the endpoint allows for all three.
//!
//! hyper's pool opens a connection on behalf of a call but knows nothing of the call's limits, and it may have to open
//! one later than expected, when a pooled connection turns out to be closed. So the limit stands where the connection
//! is opened; [`within`] passes it down.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

/// For connections that nobody waits for any more.
const UNATTENDED_LIMIT: Duration = Duration::from_secs(10);
/// A peer that vanished without a word is found by the kernel after about this long.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

tokio::task_local! {
    static LIMIT: Duration;
}

/// Opens connections, over TLS where the URI says so, each within its limit.
#[derive(Clone)]
pub(crate) struct Connector {
    inner: HttpsConnector<HttpConnector>,
}

/// The connection was not open in time.
#[derive(Debug)]
pub(crate) struct ConnectTimedOut;

impl fmt::Display for ConnectTimedOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the connection was not open in time")
    }
}

impl std::error::Error for ConnectTimedOut {}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    /// Over TLS, HTTP/2 is offered before HTTP/1.1.
    pub(crate) fn new(tls: rustls::ClientConfig) -> Connector {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // Without it a small write may wait 40 ms for the acknowledgement of the one before.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        Connector { inner }
    }
}

/// Runs `poll`; a connection that it begins to open has `limit` to become usable.
pub(crate) fn within<T>(limit: Duration, poll: impl FnOnce() -> T) -> T {
    LIMIT.sync_scope(limit, poll)
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = LIMIT.try_with(|limit| *limit).unwrap_or(UNATTENDED_LIMIT);
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
    }
}
