//! A request arrives: its record begins, its place in the in-flight table is taken, its head is checked, its body is read.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use dialects::response::ErrorCode;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use pipeline::Pipeline;
use trace::propagation::{Propagators, TraceContext};
use trace::{ActiveRecord, Clock, Door, RequestFacts, Text, TraceId};

use super::HttpDoor;
use super::answer::{Response, respond};
use super::errors::ApiError;
use super::principal;
use crate::access::Caller;
use crate::connection::Peer;
use crate::in_flight::{Phase, Ticket};
use crate::tracing_policy::CustomAttributes;

/// A request whose head was accepted, with its body as it comes.
pub(crate) struct Arrival<B = Body> {
    pub(crate) door: Arc<HttpDoor>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) record: ActiveRecord,
    pub(crate) ticket: Ticket,
    pub(crate) caller: Caller,
    pub(crate) head: Parts,
    pub(crate) body: B,
}

/// A request whose body was read too.
pub(crate) type Received = Arrival<Bytes>;

/// Longest `x-request-id` that is taken over, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// How many times the limit, and for how long, is read and thrown away of a body that nobody wants.
const DISCARD_FACTOR: usize = 4;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Accepts the head of a request.
///
/// # Errors
///
/// The answer, when the router is full, the head is too large, or the caller is not known. Boxed, since it is large.
pub(crate) async fn arrive(
    door: Arc<HttpDoor>,
    request: http::Request<Body>,
    route: &'static str,
) -> Result<Arrival, Box<Response>> {
    let clock = Clock::start();
    let (head, body) = request.into_parts();
    let pipeline = door.pipeline.load_full();
    let record = begin(&door, &pipeline, &head, route, clock);
    let entered =
        door.in_flight.enter(record.request.id.clone(), record.trace_id, route, record.clock.monotonic());
    let limit = door.limits.body_bytes;
    let Some(ticket) = entered else {
        let message = "The router is at its limit of requests in flight. Try again in a moment.";
        return Err(refuse(ApiError::new(ErrorCode::OverCapacity, message), record, None, body, limit).await);
    };
    let checked = check_size(&door, &head.headers).and_then(|()| {
        principal::establish(&door.access.load(), &head.headers, head.extensions.get::<Peer>())
    });
    let caller = match checked {
        Ok(caller) => caller,
        Err(error) => return Err(refuse(error, record, Some(ticket), body, limit).await),
    };
    ticket.principal(&caller.principal.name);
    let mut arrival = Arrival { door, pipeline, record, ticket, caller, head, body };
    arrival.identify();
    Ok(arrival)
}

/// Answers a request whose body nobody wants.
async fn refuse(
    error: ApiError,
    record: ActiveRecord,
    ticket: Option<Ticket>,
    body: Body,
    limit: usize,
) -> Box<Response> {
    discard(body, limit).await;
    Box::new(error.answer(record, ticket))
}

impl Arrival {
    /// Answers without looking at the body.
    pub(crate) async fn refuse(self, error: ApiError) -> Response {
        let limit = self.door.limits.body_bytes;
        *refuse(error, self.record, Some(self.ticket), self.body, limit).await
    }

    /// Notes who sends the request.
    fn identify(&mut self) {
        let named = |value: &Option<Arc<str>>| value.as_deref().map(Text::from_outside);
        let facts = &mut self.record.request;
        // Without an end user, the name of the key is the identity; nobody is called anonymous.
        facts.user_id = named(&self.caller.principal.user).or_else(|| {
            let key = self.caller.authorization == crate::access::AuthorizationUse::Router;
            key.then(|| Text::trusted(Arc::clone(&self.caller.principal.name)))
        });
        facts.session_id = named(&self.caller.session);
    }

    /// Reads the body.
    ///
    /// # Errors
    ///
    /// The answer: 413 over the limit, 408 when it takes too long, 400 for a compressed body.
    pub(crate) async fn receive(self) -> Result<Received, Box<Response>> {
        let Arrival { door, pipeline, mut record, ticket, caller, head, body } = self;
        let started = Instant::now();
        let limit = door.limits.body_bytes;
        let read = async {
            match read(body, &head.headers, limit).await {
                Err(Unread::TooLarge(body)) => {
                    discard(body, limit).await;
                    Err(Some(too_large(limit)))
                }
                Err(Unread::Compressed) => Err(Some(compressed())),
                Err(Unread::Broken) => Err(None),
                Ok(bytes) => Ok(bytes),
            }
        };
        let read = tokio::time::timeout(door.limits.read_timeout, read).await;
        record.read_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match read.unwrap_or_else(|_| Err(Some(too_slow(door.limits.read_timeout)))) {
            Ok(body) => {
                ticket.came_in(body.len());
                ticket.phase(Phase::Deciding);
                Ok(Arrival { door, pipeline, record, ticket, caller, head, body })
            }
            Err(Some(error)) => Err(Box::new(error.answer(record, Some(ticket)))),
            // Nobody is left to read an answer: dropping the record notes that the client has gone.
            Err(None) => Err(Box::new(respond(StatusCode::BAD_REQUEST, HeaderMap::new(), Body::empty()))),
        }
    }
}

/// Runs the work on a request. A panic in it is a bug of the router's, and costs one request its answer but no one
/// else a connection; the record, which the work owns, has noted it when it was dropped.
pub(crate) async fn guarded(names: RequestNames, work: impl Future<Output = Response>) -> Response {
    // Nothing that the work touched is used again: it owns its request, and what is shared is behind locks and atomics.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(response) => response,
        Err(_) => ApiError::panicked(&names),
    }
}

/// By what a request is known outside of its record.
pub(crate) struct RequestNames {
    pub(crate) request_id: Text,
    pub(crate) root: TraceContext,
}

impl Arrival {
    pub(crate) fn names(&self) -> RequestNames {
        RequestNames { request_id: self.record.request.id.clone(), root: self.record.root_context() }
    }
}

/// Begins the record of a request.
pub(crate) fn begin(
    door: &HttpDoor,
    pipeline: &Pipeline,
    head: &Parts,
    route: &'static str,
    clock: Clock,
) -> ActiveRecord {
    let path = head.uri.path();
    let path = if path == route { Text::trusted(route) } else { Text::from_outside(path) };
    let mut facts =
        RequestFacts::new(request_id(&head.headers), Door::Http, method(&head.method), path, route);
    facts.config_version = Arc::clone(&pipeline.policy.version);
    let tracing = door.tracing.load();
    facts.custom = custom_of_head(&tracing.attributes, &head.headers);
    let incoming = incoming_context(tracing.propagators, &head.headers);
    ActiveRecord::new(tracing.begin(clock, incoming, facts), Arc::clone(&door.sink))
}

/// The caller's trace context, in any of the formats in use.
pub(crate) fn incoming_context(propagators: Propagators, headers: &HeaderMap) -> Option<TraceContext> {
    let values = |name: &str| headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes).collect();
    propagators.extract(&values)
}

/// The operator's own attributes, as far as the head tells them.
fn custom_of_head(attributes: &CustomAttributes, headers: &HeaderMap) -> Vec<(Arc<str>, Text)> {
    let constants = attributes.constants.iter().cloned();
    let mapped = attributes.headers.iter().filter_map(|(key, name)| {
        let value = headers.get(&**name)?.to_str().ok()?;
        Some((Arc::clone(key), Text::from_outside(value)))
    });
    constants.chain(mapped).collect()
}

/// The client's id where it is short and printable, else a new one.
fn request_id(headers: &HeaderMap) -> Text {
    let theirs = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let sane = |id: &&str| {
        !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match theirs.filter(sane) {
        Some(id) => Text::from_outside(id),
        None => Text::trusted(format!("req-{}", TraceId::random())),
    }
}

/// The method as the conventions write it: `_OTHER` for one that HTTP does not define.
fn method(method: &Method) -> Cow<'static, str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    Cow::Borrowed(KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER"))
}

fn check_size(door: &HttpDoor, headers: &HeaderMap) -> Result<(), ApiError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes <= door.limits.header_bytes && headers.len() <= door.limits.headers {
        return Ok(());
    }
    let message = format!(
        "The request's headers are too large; the router takes {} lines and {} bytes of them. Send fewer.",
        door.limits.headers, door.limits.header_bytes
    );
    Err(ApiError::new(ErrorCode::RequestTooLarge, message))
}

/// Why a body was not read.
enum Unread {
    /// It is over the limit; the rest of it.
    TooLarge(Body),
    /// It is encoded in a way that the router cannot look into.
    Compressed,
    /// The connection broke.
    Broken,
}

async fn read(mut body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Unread> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(http::HeaderValue::as_bytes);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Unread::Compressed);
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|declared: usize| declared > limit) {
        return Err(Unread::TooLarge(body));
    }
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return Err(Unread::TooLarge(body));
    }
    let Some(second) = next(&mut body).await? else { return Ok(first) };
    // What a client declares is only trusted up to a size that does no harm if it is a lie.
    let mut whole =
        BytesMut::with_capacity(declared.unwrap_or(0).min(1 << 20).max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    let mut piece = Some(second);
    while let Some(bytes) = piece {
        if whole.len() + bytes.len() > limit {
            return Err(Unread::TooLarge(body));
        }
        whole.extend_from_slice(&bytes);
        piece = next(&mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of data; trailers are passed over.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Unread> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| Unread::Broken)?.into_data() {
            Ok(data) => return Ok(Some(data)),
            Err(_) => continue,
        }
    }
    Ok(None)
}

/// Reads on for a while without keeping anything: a connection that closes on bytes still under way is reset, and the
/// client would never see the answer.
async fn discard(mut body: Body, limit: usize) {
    let mut bytes = limit.saturating_mul(DISCARD_FACTOR);
    let reading = async {
        while let Ok(Some(data)) = next(&mut body).await {
            if data.len() > bytes {
                return;
            }
            bytes -= data.len();
        }
    };
    // Whether it ended or not, the answer is the same.
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

fn too_large(limit: usize) -> ApiError {
    let message =
        format!("The request body is larger than the {limit} bytes that the router takes. Send less.");
    ApiError::new(ErrorCode::RequestTooLarge, message)
}

fn too_slow(timeout: Duration) -> ApiError {
    let message = format!(
        "The request body did not arrive within {} ms. Try again over a faster connection, or send less.",
        timeout.as_millis()
    );
    ApiError::new(ErrorCode::RequestTimeout, message)
}

fn compressed() -> ApiError {
    let message = "The request body is compressed, which this router does not read. Send it without `content-encoding`.";
    ApiError::new(ErrorCode::InvalidRequest, message)
}
