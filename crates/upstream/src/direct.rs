//! HTTP/1.1 in the clear, on connections that are driven by whoever uses them.
//!
//! hyper's own pool runs each connection in a task of its own, so that every chunk of an answer costs two switches
//! between tasks and often the waking of another thread. Here a call polls its connection itself: what one read brings
//! is passed on at once. Between calls one keeper per client watches all idle connections.
//!
//! It is not for TLS, where the backend chooses the version, and not for HTTP/2, where calls share a connection.
//! Invariant: a connection belongs either to one call or to the pool; one that was given up in the middle of a call is
//! closed.

mod pool;
mod relay;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Builder, SendRequest};
use pipeline::exchange::UpstreamFault;
use pipeline::policy::Endpoint;
use tower_service::Service;

use crate::config::ClientConfig;
use crate::connector::{self, Connector};
use crate::fault;
use crate::timer::{Phase, PhaseTimer};
use pool::Pool;
use relay::Relay;

type Io = <Connector as Service<Uri>>::Response;

/// Opens, keeps and reuses connections.
pub(crate) struct Direct {
    connector: Connector,
    builder: Builder,
    pool: Arc<Pool>,
}

/// A connection with the means to send on it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it is closed.
    driver: Option<http1::Connection<Io, Full<Bytes>>>,
    relay: Arc<Relay>,
}

/// A connection in use by one call. Dropping it closes the connection; [`Lease::give_back`] may keep it.
pub(crate) struct Lease {
    connection: Connection,
    origin: Arc<str>,
    pool: Arc<Pool>,
}

impl Direct {
    /// Without connections.
    pub(crate) fn new(connector: Connector, config: &ClientConfig, max_head_bytes: usize) -> Direct {
        let mut builder = Builder::new();
        builder.max_buf_size(max_head_bytes);
        let pool = Pool::new(config.max_idle_per_host, config.idle_timeout);
        Direct { connector, builder, pool }
    }

    /// Sends a request and waits for the head of its answer. A request that an idle connection, closed by the backend
    /// meanwhile, did not take is sent on another one, if not a byte of it had been written.
    ///
    /// # Errors
    ///
    /// The fault of the connection or of the head, or of a limit that passed.
    pub(crate) async fn send(
        &self,
        endpoint: &Endpoint,
        mut request: Request<Full<Bytes>>,
        timer: &mut PhaseTimer,
    ) -> Result<(Response<Incoming>, Lease), UpstreamFault> {
        let target = request.uri().clone();
        to_origin_form(&mut request).map_err(|error| fault::of_address(endpoint, &error))?;
        let origin = &endpoint.address.origin;
        loop {
            let idle = self.pool.take(origin);
            let reused = idle.is_some();
            let connection = match idle {
                Some(connection) => connection,
                None => self.open(endpoint, target.clone(), timer).await?,
            };
            timer.enter(Phase::FirstToken, endpoint.timeouts.first_token);
            let pool = Arc::clone(&self.pool);
            let mut lease = Lease { connection, origin: Arc::clone(origin), pool };
            let mut sent = pin!(lease.connection.sender.try_send_request(request));
            let response = poll_fn(|context| {
                // The request is taken up when the connection is driven, and the head found there; nothing else can
                // make the response ready.
                lease.drive(context);
                match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(response) => Poll::Ready(Ok(response)),
                    Poll::Pending => timer.poll(context).map(Err),
                }
            });
            match response.await {
                Ok(Ok(response)) => return Ok((response, lease)),
                Ok(Err(mut failed)) => match failed.take_message().filter(|_| reused) {
                    Some(unsent) => request = unsent,
                    None => return Err(fault::of_exchange(endpoint, failed.error())),
                },
                Err(too_long) => return Err(fault::of_timeout(endpoint, too_long)),
            }
        }
    }

    async fn open(
        &self,
        endpoint: &Endpoint,
        target: Uri,
        timer: &mut PhaseTimer,
    ) -> Result<Connection, UpstreamFault> {
        let mut connector = self.connector.clone();
        let mut connecting = connector::within(endpoint.timeouts.connect, || connector.call(target));
        let connected = poll_fn(|context| match connecting.as_mut().poll(context) {
            Poll::Ready(connected) => Poll::Ready(Ok(connected)),
            Poll::Pending => timer.poll(context).map(Err),
        });
        let io = match connected.await {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return Err(fault::of_connecting(endpoint, &*error)),
            Err(too_long) => return Err(fault::of_timeout(endpoint, too_long)),
        };
        let opened = self.builder.handshake(io).await;
        let (sender, driver) = opened.map_err(|error| fault::of_exchange(endpoint, &error))?;
        Ok(Connection { sender, driver: Some(driver), relay: Relay::new() })
    }
}

impl Connection {
    /// Reads and writes what can be without waiting.
    fn drive(&mut self, context: &mut Context<'_>) {
        // How it closed is told to the call through its response or its body.
        self.driver.take_if(|driver| Pin::new(driver).poll(context).is_ready());
    }

    /// Whether it is open, has nothing under way, and could take a request.
    fn is_idle(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }
}

impl Lease {
    /// Reads and writes what can be without waiting.
    fn drive(&mut self, context: &Context<'_>) {
        let waker = self.connection.relay.waker(context);
        self.connection.drive(&mut Context::from_waker(&waker));
    }

    /// The next frame of the answer. It drives the connection whenever there is none, so before it waits.
    pub(crate) fn poll_frame(
        &mut self,
        incoming: &mut Incoming,
        context: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let relay = Arc::clone(&self.connection.relay);
        // Only driving makes a frame ready, so that nobody has to be woken for one.
        let mut take =
            || relay.quietly(|| Pin::new(&mut *incoming).poll_frame(&mut Context::from_waker(Waker::noop())));
        let frame = take();
        if frame.is_ready() {
            return frame;
        }
        self.drive(context);
        take()
    }

    /// The call is over. The connection waits for the next one if all of the answer has come, else it is closed.
    pub(crate) fn give_back(self) {
        let Lease { connection, origin, pool } = self;
        pool.put(origin, connection);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Lease").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Moves the host into its header, as HTTP/1.1 writes a request (RFC 9112, section 3.2.1).
fn to_origin_form(request: &mut Request<Full<Bytes>>) -> Result<(), http::Error> {
    const DEFAULT_PORT: u16 = 80;
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    let host = match uri.port_u16() {
        Some(port) if port != DEFAULT_PORT => HeaderValue::try_from(format!("{host}:{port}"))?,
        _ => HeaderValue::from_str(host)?,
    };
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, host);
    Ok(())
}
