//! A request arrives: its record begins, its place in the in-flight table is taken, its head is checked, its body is read.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use pipeline::Pipeline;
use trace::propagation::TraceContext;
use trace::{ActiveRecord, Clock, Door, Text};

use super::HttpDoor;
use super::answer::{Response, respond};
use crate::access::Caller;
use crate::connection::Peer;
use crate::errors::ApiError;
use crate::in_flight::{Phase, Ticket};
use crate::intake;

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
        return Err(refuse(intake::over_capacity(), record, None, body, limit).await);
    };
    let peer = head.extensions.get::<Peer>().map(|peer| peer.0.ip());
    let checked = intake::check_size(&door.limits, &head.headers)
        .and_then(|()| intake::establish(&door.access.load(), &head.headers, peer));
    let caller = match checked {
        Ok(caller) => caller,
        Err(error) => return Err(refuse(error, record, Some(ticket), body, limit).await),
    };
    ticket.principal(&caller.principal.name);
    let mut arrival = Arrival { door, pipeline, record, ticket, caller, head, body };
    intake::note_caller(&arrival.caller, &mut arrival.record.request);
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
                    Err(Some(intake::too_large(limit)))
                }
                Err(Unread::Compressed) => Err(Some(intake::compressed())),
                Err(Unread::Broken) => Err(None),
                Ok(bytes) => Ok(bytes),
            }
        };
        let read = tokio::time::timeout(door.limits.read_timeout, read).await;
        record.read_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match read.unwrap_or_else(|_| Err(Some(intake::too_slow(door.limits.read_timeout)))) {
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
    let tracing = door.tracing.load();
    let incoming = intake::incoming_context(tracing.propagators, &head.headers);
    let (method, path, headers) = (&head.method, head.uri.path(), &head.headers);
    let head = intake::Head { door: Door::Http, method, path, route, headers, incoming, clock };
    intake::begin(&tracing, pipeline, &door.sink, head)
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
    if intake::is_encoded(headers) {
        return Err(Unread::Compressed);
    }
    let declared = intake::announced_length(headers);
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
