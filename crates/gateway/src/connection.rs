//! Connections of every door: accept, TLS where the listener has it, HTTP/1.1 or HTTP/2, limits, and an orderly end.
//!
//! Invariant: a connection holds one of a bounded number of places, and ends by itself if no request comes in time, or at once
//! if all places are taken and somebody else comes ([`crowd`]). A handshake has no time and no place of its own.

mod crowd;
mod write_patience;

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use crowd::{Crowd, Member};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;
use write_patience::WritePatience;

use crate::listener::Listener;

/// Where a request's connection comes from; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Most connections at once. A further one takes the place of one that has no request in progress, or waits.
    pub(crate) connections: usize,
    /// How long a request's head may take, and how long a connection may stay without one, its handshake included.
    pub(crate) head_timeout: Duration,
    /// Largest head that is parsed, in bytes.
    pub(crate) header_bytes: usize,
    /// Most header lines that are parsed.
    pub(crate) headers: usize,
    /// Streams of one HTTP/2 connection.
    pub(crate) streams: u32,
    /// How long answers in progress may take once the door closes.
    pub(crate) drain: Duration,
}

/// How long a client may take nothing of an answer that waits for it. A place of the router is too dear for one that has
/// stopped reading.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// Pause after a failed accept, which mostly means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How long a connection that has to give up its place may take to send the rest of its last answer.
const LEAVING_LIMIT: Duration = Duration::from_secs(1);

/// HTTP/2 pings an idle connection this often, and closes it when no answer comes.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Streams of one HTTP/2 connection of a client.
pub(crate) const CLIENT_STREAMS: u32 = 256;

/// The smallest buffer that hyper takes for a head.
const MIN_HEAD_BUFFER_BYTES: usize = 64 * 1024;

/// Serves until `shutdown` completes, then lets answers in progress end for the drain time and closes the rest.
pub(crate) async fn serve(
    listener: Listener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: impl Future<Output = ()>,
) {
    let Listener { tcp: listener, tls } = listener;
    let crowd = Crowd::new(limits.connections);
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &crowd) => accepted,
            () = shutdown.as_mut() => break,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, peer, member)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection =
            Connection { peer, member, router: router.clone(), limits, stopping: stopping.clone() };
        match &tls {
            None => connections.spawn(connection.plain(stream)),
            Some(tls) => connections.spawn(connection.encrypted(stream, tls.acceptor())),
        };
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain time is over; closing what is still open");
    }
}

async fn accept(listener: &TcpListener, crowd: &Arc<Crowd>) -> Option<(TcpStream, SocketAddr, Member)> {
    // A place is asked for once somebody is there: nobody has to leave before.
    let (stream, peer) = listener.accept().await.ok()?;
    let member = crowd.enter().await?;
    Some((stream, peer, member))
}

/// One connection, but for its bytes.
struct Connection {
    peer: SocketAddr,
    member: Member,
    router: Router,
    limits: ConnectionLimits,
    stopping: watch::Receiver<bool>,
}

impl Connection {
    async fn plain(self, stream: TcpStream) {
        let patience = pin!(tokio::time::sleep(self.limits.head_timeout));
        self.serve(ready(stream), patience).await;
    }

    async fn encrypted(mut self, stream: TcpStream, acceptor: TlsAcceptor) {
        let mut patience = pin!(tokio::time::sleep(self.limits.head_timeout));
        let handshake = acceptor.accept(ready(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = patience.as_mut() => return,
            () = self.member.told_to_leave() => return,
            _ = self.stopping.wait_for(|stopped| *stopped) => return,
        };
        match shaken {
            Ok(stream) => self.serve(stream, patience).await,
            // Everybody who scans ports would fill the log with anything louder.
            Err(error) => tracing::debug!(peer = %self.peer, "TLS handshake failed: {error}"),
        }
    }

    /// Serves until the end; without a request before `patience` is over, until then.
    async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        mut patience: Pin<&mut Sleep>,
    ) {
        let Connection { peer, member, router, limits, mut stopping } = self;
        let service = service_fn(|mut request: http::Request<Incoming>| {
            let busy = member.request();
            request.extensions_mut().insert(Peer(peer));
            let mut router = router.clone();
            async move { router.call(request).await.map(|answer| answer.map(|body| busy.until_end_of(body))) }
        });
        let builder = protocol(&limits);
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut impatient = true;
        let limit = loop {
            tokio::select! {
                // An error here is a client that broke the protocol or went away: nobody is left to tell.
                _ = serving.as_mut() => return,
                // The protocol's own timeout starts only once its version is known.
                () = patience.as_mut(), if impatient => {
                    if !member.has_asked() {
                        return;
                    }
                    impatient = false;
                }
                () = member.told_to_leave() => {
                    if !member.has_asked() {
                        return;
                    }
                    // The end of its last answer may still be on its way out.
                    break LEAVING_LIMIT;
                }
                // The listener itself limits how long its connections take to end.
                _ = stopping.wait_for(|stopped| *stopped) => break Duration::MAX,
            }
        };
        serving.as_mut().graceful_shutdown();
        let ended = tokio::time::timeout(limit, serving.as_mut()).await;
        // A request that came in before the client knew is answered.
        if ended.is_err() && member.is_busy() {
            let _ = serving.await;
        }
    }
}

/// A stream as it is served: without waits of its own, and with an end to those for the peer.
fn ready(stream: TcpStream) -> WritePatience<TcpStream> {
    // Without it a small frame may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    WritePatience::new(stream, WRITE_PATIENCE)
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
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(head_bytes);
    builder
}
