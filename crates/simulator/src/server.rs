//! The listener and its connections.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::handler::Backend;
use crate::journal::SeenRequest;
use crate::script::Script;
use crate::traces::{self, Exporter};
use crate::wire::{Line, Wire};

const MAX_CONNECTIONS: usize = 16_384;
const MAX_STREAMS: u32 = 1_024;
/// Time for answers in progress after [`Simulator::shutdown`]; a scripted stream may have no end.
const GRACE: Duration = Duration::from_millis(250);
/// Pause after a failed accept, which mostly means that no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running backend. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    backend: Arc<Backend>,
    stop: watch::Sender<bool>,
    listener: JoinHandle<()>,
    exporter: Option<Exporter>,
}

impl Simulator {
    /// Binds and serves until shut down. Port 0 takes a free port; see [`Simulator::address`].
    ///
    /// # Errors
    /// The address cannot be bound, or the script's name is not fit for a header.
    pub async fn start(script: Script, bind: SocketAddr) -> io::Result<Self> {
        let name = HeaderValue::from_str(&script.name).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "the simulator's name is not fit for a header")
        })?;
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let traces = script.traces.as_ref().filter(|_| !script.fast);
        let (tracer, exporter) = traces.map(|traces| traces::exporter(traces, &script.name)).unzip();
        let backend = Arc::new(Backend::new(script, name, tracer));
        let (stop, stopped) = watch::channel(false);
        let listener = tokio::spawn(accept(listener, backend.clone(), stopped));
        Ok(Self { address, backend, stop, listener, exporter })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The newest requests, oldest first: at most 4,096 and 64 MiB of bodies. Empty in fast mode.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.backend.journal.requests()
    }

    /// Waits until `count` requests have arrived since the start; false when `timeout` passed first.
    pub async fn wait_for(&self, count: usize, timeout: Duration) -> bool {
        self.backend.journal.arrived(count, timeout).await
    }

    /// Waits until `count` requests have ended since the start, in whatever way; false when `timeout` passed first.
    pub async fn wait_for_ended(&self, count: usize, timeout: Duration) -> bool {
        self.backend.journal.ended(count, timeout).await
    }

    /// Stops listening, gives answers in progress a quarter of a second, and closes every connection; then sends the
    /// spans that are left, for at most three seconds. Gives back how many spans could not be delivered since the start.
    pub async fn shutdown(self) -> u64 {
        self.stop.send_replace(true);
        // The task ends by itself; it fails only if it panicked, and then there is nothing left to stop.
        let _ = self.listener.await;
        match self.exporter {
            Some(exporter) => exporter.flush().await,
            None => 0,
        }
    }
}

async fn accept(listener: TcpListener, backend: Arc<Backend>, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (backend, stop) = (backend.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, backend, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // What is left after the grace is aborted when the set is dropped.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

/// Serves one connection until it closes, is severed by a fault, or the simulator stops.
async fn connection(stream: TcpStream, backend: Arc<Backend>, mut stop: watch::Receiver<bool>) {
    // Without it a small frame may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let line = Arc::new(Line::default());
    let io = TokioIo::new(Wire::new(stream, line.clone()));
    let service = service_fn(|request| {
        let (backend, line) = (backend.clone(), line.clone());
        async move { Ok::<_, Infallible>(backend.answer(request, &line).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS);
    let mut serving = pin!(builder.serve_connection(io, service));
    tokio::select! {
        // Errors here are clients that went away and cuts by the script, both of which the journal knows.
        _ = serving.as_mut() => return,
        () = line.severed() => return,
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        _ = serving => {}
        () = line.severed() => {}
    }
}
