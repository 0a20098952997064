//! What every door does with a request before the pipeline sees it: its record begins, its head is checked, its caller
//! is established, its body is parsed.
//!
//! Nothing here knows how a door speaks; it sees header values, an address and bytes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use dialects::response::ErrorCode;
use http::{HeaderMap, Method, header};
use pipeline::Pipeline;
use pipeline::outcome::Refusal;
use pipeline::policy::{BlockAnswer, Policy};
use pipeline::replay::{self, Prepared};
use pipeline::request::Request;
use trace::propagation::{Propagators, TraceContext};
use trace::{ActiveRecord, Clock, Door, Record, RecordSink, RequestFacts, Text, TraceId};

use crate::access::{Access, AuthorizationUse, Caller, Claim};
use crate::errors::ApiError;
use crate::limits::Limits;
use crate::tracing_policy::{CustomAttributes, TracingPolicy};

/// Bodies above this size are parsed on a thread of their own, in bytes: parsing one takes milliseconds.
const PARSE_INLINE_BYTES: usize = 1 << 20;

/// Longest `x-request-id` that is taken over, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The head of a request, as a record needs it.
pub(crate) struct Head<'a> {
    pub(crate) door: Door,
    pub(crate) method: &'a Method,
    /// The path without its query.
    pub(crate) path: &'a str,
    pub(crate) route: &'static str,
    pub(crate) headers: &'a HeaderMap,
    /// The caller's position in a trace.
    pub(crate) incoming: Option<TraceContext>,
    pub(crate) clock: Clock,
}

/// Begins the record of a request.
pub(crate) fn begin(
    tracing: &TracingPolicy,
    pipeline: &Pipeline,
    sink: &Arc<dyn RecordSink>,
    head: Head<'_>,
) -> ActiveRecord {
    let Head { door, method, path, route, headers, incoming, clock } = head;
    let path = if path == route { Text::trusted(route) } else { Text::from_outside(path) };
    let mut facts = RequestFacts::new(request_id(headers), door, known_method(method), path, route);
    facts.config_version = Arc::clone(&pipeline.policy.version);
    facts.custom = custom_of_head(&tracing.attributes, headers);
    ActiveRecord::new(tracing.begin(clock, incoming, facts), Arc::clone(sink))
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
fn known_method(method: &Method) -> Cow<'static, str> {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    Cow::Borrowed(KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER"))
}

/// Checks that a head is within the limits.
///
/// # Errors
///
/// 413 when it is not.
pub(crate) fn check_size(limits: &Limits, headers: &HeaderMap) -> Result<(), ApiError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes <= limits.header_bytes && headers.len() <= limits.headers {
        return Ok(());
    }
    let message = format!(
        "The request's headers are too large; the router takes {} lines and {} bytes of them. Send fewer.",
        limits.headers, limits.header_bytes
    );
    Err(ApiError::new(ErrorCode::RequestTooLarge, message))
}

/// Checks who calls.
///
/// # Errors
///
/// 401 when keys are required and the request has none that is known.
pub(crate) fn establish(
    access: &Access,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Caller, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let claim = Claim {
        authorization: text(header::AUTHORIZATION.as_str()),
        user: text(&access.user_header),
        session: text(&access.session_header),
        peer,
    };
    access.establish(claim).map_err(|_| {
        let message = match claim.authorization {
            Some(_) => "The API key is not known to this router. Check it, or ask the router's operator for one.",
            None => "An API key is needed: send it as `Authorization: Bearer KEY`. Ask the router's operator for one.",
        };
        ApiError::new(ErrorCode::InvalidApiKey, message)
    })
}

/// Notes who sends the request.
pub(crate) fn note_caller(caller: &Caller, facts: &mut RequestFacts) {
    let named = |value: &Option<Arc<str>>| value.as_deref().map(Text::from_outside);
    // Without an end user, the name of the key is the identity; nobody is called anonymous.
    facts.user_id = named(&caller.principal.user).or_else(|| {
        let key = caller.authorization == AuthorizationUse::Router;
        key.then(|| Text::trusted(Arc::clone(&caller.principal.name)))
    });
    facts.session_id = named(&caller.session);
}

/// Whether a body is encoded in a way that the router cannot look into.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING).map(http::HeaderValue::as_bytes);
    encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity"))
}

/// The length that a head announces for its body, in bytes.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Parses a body of any size without holding up other requests.
///
/// # Errors
///
/// 400 for what is no request of this dialect.
pub(crate) async fn parse(
    dialect: Dialect,
    body: Bytes,
    max_messages: usize,
) -> Result<ParsedRequest, ApiError> {
    let parsed = if body.len() <= PARSE_INLINE_BYTES {
        ParsedRequest::parse(dialect, body)
    } else {
        let parsing = tokio::task::spawn_blocking(move || ParsedRequest::parse(dialect, body));
        parsing.await.map_err(|_| {
            let message =
                "The router failed while reading the request; this is its own fault. Tell its operator.";
            ApiError::new(ErrorCode::Internal, message)
        })?
    };
    let parsed = parsed.map_err(|error| ApiError::from(&error))?;
    let messages = parsed.facts().shape.message_count;
    if messages > max_messages {
        let message = format!(
            "The request has {messages} messages; this router takes {max_messages}. Leave out the oldest ones."
        );
        let param = match dialect {
            Dialect::ChatCompletions => "messages",
            Dialect::Completions => "prompt",
            Dialect::Embeddings => "input",
        };
        return Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param(param));
    }
    Ok(parsed)
}

/// The request as the pipeline sees it.
pub(crate) fn request(
    parsed: ParsedRequest,
    caller: &Caller,
    policy: &Policy,
    headers: &HeaderMap,
) -> Request {
    let mut read = Vec::new();
    for name in policy.header_names() {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        read.extend(values.map(|value| (Arc::from(name), Box::from(value))));
    }
    Request { parsed, principal: caller.principal.clone(), session: caller.session.clone(), headers: read }
}

/// What the trace says of the request itself.
pub(crate) fn note_request(parsed: &ParsedRequest, record: &mut Record) {
    record.request.original_model = parsed.model().map(Text::from_outside);
    record.request.stream = parsed.stream();
}

/// The operator's own attributes that the request's `metadata` tells.
pub(crate) fn note_metadata(attributes: &CustomAttributes, parsed: &ParsedRequest, record: &mut Record) {
    if attributes.metadata.is_empty() {
        return;
    }
    let metadata = parsed.metadata();
    for (key, name) in &attributes.metadata {
        if let Some((_, value)) = metadata.iter().find(|(known, _)| **known == **name) {
            record.request.custom.push((Arc::clone(key), Text::from_outside(value)));
        }
    }
}

/// A refusal as a completion where the decision says so. Embeddings have no text to say it in.
pub(crate) fn polite_refusal(request: &Request, refusal: &Refusal, trace_id: TraceId) -> Option<Prepared> {
    let dialect = request.parsed.dialect();
    if refusal.answer == BlockAnswer::Error || dialect == Dialect::Embeddings {
        return None;
    }
    let prefix = match dialect {
        Dialect::Completions => "cmpl",
        Dialect::ChatCompletions | Dialect::Embeddings => "chatcmpl",
    };
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Some(replay::refusal(request, refusal, &format!("{prefix}-{trace_id}"), created))
}

/// The router is full.
pub(crate) fn over_capacity() -> ApiError {
    let message = "The router is at its limit of requests in flight. Try again in a moment.";
    ApiError::new(ErrorCode::OverCapacity, message)
}

/// The body is over the limit.
pub(crate) fn too_large(limit: usize) -> ApiError {
    let message =
        format!("The request body is larger than the {limit} bytes that the router takes. Send less.");
    ApiError::new(ErrorCode::RequestTooLarge, message)
}

/// The body did not come in time.
pub(crate) fn too_slow(timeout: Duration) -> ApiError {
    let message = format!(
        "The request body did not arrive within {} ms. Try again over a faster connection, or send less.",
        timeout.as_millis()
    );
    ApiError::new(ErrorCode::RequestTimeout, message)
}

/// The body is encoded.
pub(crate) fn compressed() -> ApiError {
    let message = "The request body is compressed, which this router does not read. Send it without `content-encoding`.";
    ApiError::new(ErrorCode::InvalidRequest, message)
}
