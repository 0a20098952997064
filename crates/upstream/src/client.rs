//! One call to a backend, from a pool of connections.

use std::collections::HashSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Builder, Client as PooledClient};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pipeline::exchange::{UpstreamFault, UpstreamFaultKind};
use pipeline::policy::Endpoint;

use crate::config::{ClientConfig, ClientError};
use crate::connector::{self, Connector};
use crate::direct::Direct;
use crate::timer::{Phase, PhaseTimer};
use crate::{AnswerBody, fault, tls};

/// hyper takes no smaller limit for the head of an answer.
const LEAST_HEAD_BYTES: u32 = 8192;
/// How often a busy HTTP/2 connection is probed: many calls hang on it, so that its death must be noticed soon.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a probe may go unanswered.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends calls to backends. Cheap to share behind an `Arc`; connections are kept and reused between calls.
pub struct Client {
    /// HTTP/1.1 in the clear.
    direct: Direct,
    /// Over TLS, what was negotiated.
    negotiating: Http,
    /// HTTP/2 from the first byte.
    prior_knowledge: Http,
    prior_knowledge_origins: HashSet<Arc<str>>,
    max_head_bytes: u32,
}

type Http = PooledClient<Connector, Full<Bytes>>;

/// A complete call. It is always a POST: no other is forwarded.
#[derive(Debug)]
pub struct Call {
    /// Where.
    pub endpoint: Arc<Endpoint>,
    /// The path, prefix included; starts with `/`.
    pub path: Arc<str>,
    /// All headers but those of the connection (`host`, `content-length`, `transfer-encoding`, `connection`), which
    /// are set here and replaced if given.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When the request as a whole is due, other attempts included.
    pub deadline: Instant,
}

/// The head of an answer, and its body to come.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status, whatever it is.
    pub status: StatusCode,
    /// All headers as they came, those of the connection included.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

impl Client {
    /// A client without connections; they are opened by calls. Reads the system's root certificates.
    ///
    /// # Errors
    ///
    /// The file of extra root certificates is of no use.
    pub fn new(config: ClientConfig) -> Result<Client, ClientError> {
        let connector = Connector::new(tls::client_config(config.extra_roots.as_deref())?);
        let mut builder = builder(&config);
        let direct = Direct::new(connector.clone(), &config, head_buffer_bytes(&config));
        let negotiating = builder.build(connector.clone());
        let prior_knowledge = builder.http2_only(true).build(connector);
        let prior_knowledge_origins = config.http2_prior_knowledge.into_iter().collect();
        let max_head_bytes = config.max_head_bytes.max(LEAST_HEAD_BYTES);
        Ok(Client { direct, negotiating, prior_knowledge, prior_knowledge_origins, max_head_bytes })
    }

    /// Sends a call and waits for the head of its answer. Dropping the future cancels the call.
    ///
    /// A call that was given a pooled connection which the backend had closed meanwhile is sent on another one, but
    /// only if not a byte of it had been written: a backend never sees it twice.
    ///
    /// # Errors
    ///
    /// The fault of the connection, of the answer's head, or of a limit that passed. A status is never an error.
    pub async fn send(&self, call: Call) -> Result<Answer, UpstreamFault> {
        let Call { endpoint, path, headers, body, deadline } = call;
        if deadline <= Instant::now() {
            return Err(fault::of_timeout(&endpoint, UpstreamFaultKind::TotalTimeout));
        }
        let request =
            request(&endpoint, &path, headers, body).map_err(|error| fault::of_address(&endpoint, &error))?;
        let mut timer = PhaseTimer::start(endpoint.timeouts.connect, deadline);
        let (response, lease) = match self.shared(&endpoint) {
            Some(http) => (response(http, &endpoint, request, &mut timer).await?, None),
            None => {
                let (response, lease) = self.direct.send(&endpoint, request, &mut timer).await?;
                (response, Some(lease))
            }
        };
        let (head, body) = response.into_parts();
        if header_bytes(&head.headers) > u64::from(self.max_head_bytes) {
            return Err(fault::of_head(&endpoint, self.max_head_bytes));
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: AnswerBody::new(body, lease, timer, endpoint),
        })
    }

    /// The pool for connections that a task of their own drives; `None` for HTTP/1.1 in the clear.
    fn shared(&self, endpoint: &Endpoint) -> Option<&Http> {
        let address = &endpoint.address;
        if address.tls {
            return Some(&self.negotiating);
        }
        self.prior_knowledge_origins.contains(&address.origin).then_some(&self.prior_knowledge)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Waits for the head on a connection of a pool.
async fn response(
    http: &Http,
    endpoint: &Endpoint,
    mut request: Request<Full<Bytes>>,
    timer: &mut PhaseTimer,
) -> Result<Response<Incoming>, UpstreamFault> {
    let connection = capture_connection(&mut request);
    let mut response = http.request(request);
    let limits = endpoint.timeouts;
    poll_fn(|context| {
        let polled = connector::within(limits.connect, || Pin::new(&mut response).poll(context));
        if let Poll::Ready(response) = polled {
            if timer.phase() == Phase::Connecting {
                timer.enter(Phase::FirstToken, limits.first_token);
            }
            return Poll::Ready(response.map_err(|error| fault::of_call(endpoint, &error)));
        }
        // The connection is captured while the response is polled, so that no wake-up can be missed here.
        if timer.phase() == Phase::Connecting && connection.connection_metadata().is_some() {
            timer.enter(Phase::FirstToken, limits.first_token);
        }
        timer.poll(context).map(|too_long| Err(fault::of_timeout(endpoint, too_long)))
    })
    .await
}

/// A bound of memory; what was read before it was reached is parsed, so that the limit of the head is checked again when
/// the head is there.
fn head_buffer_bytes(config: &ClientConfig) -> usize {
    usize::try_from(config.max_head_bytes.max(LEAST_HEAD_BYTES)).unwrap_or(usize::MAX)
}

fn builder(config: &ClientConfig) -> Builder {
    let head_bytes = config.max_head_bytes.max(LEAST_HEAD_BYTES);
    let mut builder = PooledClient::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(config.idle_timeout)
        .pool_max_idle_per_host(config.max_idle_per_host)
        // Resends only what comes back unsent from a closed connection.
        .retry_canceled_requests(true)
        .http1_max_buf_size(head_buffer_bytes(config))
        .timer(TokioTimer::new())
        .http2_max_header_list_size(head_bytes)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Names and values of all header lines, without separators.
fn header_bytes(headers: &HeaderMap) -> u64 {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn request(
    endpoint: &Endpoint,
    path: &str,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, http::Error> {
    // A length or an encoding that is not the body's own would let a caller write a second request into the first.
    for owned in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(owned);
    }
    let uri = Uri::from_maybe_shared(Bytes::from(format!("{}{path}", endpoint.address.origin)))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}
