//! What every door says and sees of an answer: its headers, its form, its last word.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pipeline::answer_headers::answer_headers;
use pipeline::exchange::Exchange;
use trace::{ActiveRecord, Record};

/// The content type of streams.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Headers that keep whoever is in between from holding a stream back.
pub(crate) fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

/// Headers that tell the client about its request.
pub(crate) fn record_headers(record: &Record, headers: &mut HeaderMap) {
    for (name, value) in answer_headers(record) {
        // A name from the configuration that does not fit into a header is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Whether an answer comes as a stream of events.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type
        .get(..EVENT_STREAM.len())
        .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM.as_bytes()))
}

/// Whether a stream has said with these bytes that it is over. A client may leave on it, before the connection says so too.
pub(crate) fn is_last_word(bytes: &[u8]) -> bool {
    bytes.trim_ascii_end().ends_with(b"[DONE]")
}

/// Bytes that follow each other, as far as there are any.
pub(crate) fn join(one: Option<Bytes>, other: Option<Bytes>) -> Option<Bytes> {
    match (one, other) {
        (Some(one), Some(other)) => Some([one, other].concat().into()),
        (one, other) => one.or(other),
    }
}

/// Whoever holds the record of an answer.
pub(crate) enum Owner {
    /// The door.
    Record(ActiveRecord),
    /// An exchange that has ended.
    Exchange(Box<Exchange>),
}

impl Owner {
    /// The record; `None` only after an exchange has settled.
    pub(crate) fn record_mut(&mut self) -> Option<&mut Record> {
        match self {
            Owner::Record(record) => Some(record),
            Owner::Exchange(exchange) => exchange.record_mut(),
        }
    }

    /// Every byte of the answer was taken. An exchange that has ended finishes its record when it is dropped.
    pub(crate) fn finish(self) {
        if let Owner::Record(record) = self {
            record.finish();
        }
    }
}
