//! Connections of every door: accept, HTTP/1.1 or HTTP/2 by prior knowledge, limits, and an orderly end.
//!
//! Invariant: a connection holds one of a bounded number of places, and ends by itself if no request comes in time.

mod write_patience;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;
use write_patience::WritePatience;

/// Where a request's connection comes from; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Most connections at once; more wait to be accepted.
    pub(crate) connections: usize,
    /// How long a request's head may take, and how long a connection may stay without one.
    pub(crate) head_timeout: Duration,
    /// Largest head that is parsed, in bytes.
    pub(crate) header_bytes: usize,
    /// Most header lines that are parsed.
    pub(crate) headers: usize,
    /// How long answers in progress may take once the door closes.
    pub(crate) drain: Duration,
}

/// How long a client may take nothing of an answer that waits for it. A place of the router is too dear for one that has
/// stopped reading.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// Pause after a failed accept, which mostly means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// HTTP/2 pings an idle connection this often, and closes it when no answer comes.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// The smallest buffer that hyper takes for a head.
const MIN_HEAD_BUFFER_BYTES: usize = 64 * 1024;

/// Serves until `shutdown` completes, then lets answers in progress end for the drain time and closes the rest.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = shutdown.as_mut() => break,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        connections.spawn(async move {
            connection(stream, peer, router, limits, stopping).await;
            drop(place);
        });
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain time is over; closing what is still open");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, peer) = listener.accept().await.ok()?;
    Some((stream, peer, place))
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    // Without it a small frame may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn(|mut request: http::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(Peer(peer));
        let mut router = router.clone();
        async move { router.call(request).await }
    });
    let builder = protocol(&limits);
    let mut serving =
        pin!(builder.serve_connection(TokioIo::new(WritePatience::new(stream, WRITE_PATIENCE)), service));
    let mut patience = pin!(tokio::time::sleep(limits.head_timeout));
    let mut impatient = true;
    loop {
        tokio::select! {
            // An error here is a client that broke the protocol or went away: nobody is left to tell.
            _ = serving.as_mut() => return,
            // The protocol's own timeout starts only once its version is known.
            () = patience.as_mut(), if impatient => {
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                impatient = false;
            }
            _ = stopping.wait_for(|stopped| *stopped) => break,
        }
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

fn protocol(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let head_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(MIN_HEAD_BUFFER_BYTES));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(head_bytes);
    builder
}
