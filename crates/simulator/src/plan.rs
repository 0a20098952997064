//! The plan of one answer: its head, its chunks with their times, its ending; and what each fault makes of it.
//! Pure: faults are functions from a plan to a plan, so that the rest of the crate knows nothing of them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::Fault;
use crate::api::{self, DONE};
use crate::traces::Generation;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// One answer, as it will be sent.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) start: Start,
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) retry_after: Option<u64>,
    /// Written into the head when given; otherwise the body is of unknown length.
    pub(crate) content_length: Option<u64>,
    pub(crate) chunks: VecDeque<Chunk>,
    pub(crate) ending: Ending,
    /// Time between two tokens.
    pub(crate) interval: Duration,
    /// What the engine did, if it gets to the end of it.
    pub(crate) generation: Option<Generation>,
}

/// When the head goes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// That long after the request.
    After(Duration),
    Never,
    Reset,
}

/// Bytes and their time, counted from the request.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) due: Duration,
    pub(crate) bytes: Bytes,
}

/// What follows the last chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The proper end of the body.
    Complete,
    /// Nothing, on an open connection.
    Stall,
    /// The connection closes.
    Cut,
    /// The connection resets.
    Reset,
    /// This chunk, for ever.
    Repeat(Bytes),
}

/// Size of a chunk of an answer that is not streamed, once a fault needs chunks.
const PIECE_BYTES: usize = 64;
const FILLER_BYTES: usize = 64 << 10;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

impl Plan {
    /// A JSON answer that comes at once after a delay.
    pub(crate) fn whole(status: StatusCode, body: Vec<u8>, after: Duration) -> Self {
        let content_length = u64::try_from(body.len()).ok();
        let chunk = Chunk { due: Duration::ZERO, bytes: body.into() };
        Self {
            start: Start::After(after),
            status,
            content_type: JSON,
            retry_after: None,
            content_length,
            chunks: VecDeque::from([chunk]),
            ending: Ending::Complete,
            interval: Duration::ZERO,
            generation: None,
        }
    }

    /// A stream of SSE frames; the head goes out at once.
    pub(crate) fn stream(chunks: VecDeque<Chunk>, interval: Duration) -> Self {
        Self {
            start: Start::After(Duration::ZERO),
            status: StatusCode::OK,
            content_type: EVENT_STREAM,
            retry_after: None,
            content_length: None,
            chunks,
            ending: Ending::Complete,
            interval,
            generation: None,
        }
    }

    pub(crate) fn generated(self, generation: Generation) -> Self {
        Self { generation: Some(generation), ..self }
    }

    fn streams(&self) -> bool {
        self.content_type == EVENT_STREAM
    }

    /// The plan after a fault has struck it.
    pub(crate) fn struck_by(mut self, fault: &Fault) -> Self {
        match fault {
            Fault::Status { code, body, retry_after } => {
                return failure(*code, body.as_deref(), *retry_after);
            }
            Fault::Html => return page(),
            Fault::Reset => self.start = Start::Reset,
            Fault::StallBeforeHead => self.start = Start::Never,
            Fault::SlowHead { ms } => self.delay(Duration::from_millis(*ms)),
            Fault::ResetAfter { chunks } => self.end_after(*chunks, Ending::Reset),
            Fault::StallAfter { chunks } => self.end_after(*chunks, Ending::Stall),
            Fault::CutAfter { chunks } => self.end_after(*chunks, Ending::Cut),
            Fault::ErrorAfter { chunks } => self.error_after(*chunks),
            Fault::MalformedSse => self.malform(),
            Fault::HalfFrame => self.halve(),
            Fault::NeverEnds => self.repeat(),
            Fault::WrongContentLength => self.overstate(),
            Fault::HugeLine { bytes } => self.inflate(*bytes),
            Fault::NoDone => self.chunks.retain(|chunk| chunk.bytes != DONE),
            Fault::ByteByByte => self.shred(1),
        }
        self
    }

    fn delay(&mut self, by: Duration) {
        if let Start::After(after) = &mut self.start {
            *after += by;
        }
        self.chunks.iter_mut().for_each(|chunk| chunk.due += by);
        if let Some(generation) = &mut self.generation {
            generation.queued += by;
        }
    }

    /// Cuts an answer that is not streamed into chunks, so that faults can count them.
    fn divide(&mut self) {
        if !self.streams() {
            self.shred(PIECE_BYTES);
        }
        self.content_length = None;
    }

    fn shred(&mut self, size: usize) {
        self.content_length = None;
        let cut = |chunk: &Chunk| {
            let (due, bytes) = (chunk.due, chunk.bytes.clone());
            (0..bytes.len())
                .step_by(size)
                .map(move |at| Chunk { due, bytes: bytes.slice(at..bytes.len().min(at + size)) })
        };
        self.chunks = self.chunks.iter().flat_map(cut).collect();
    }

    fn end_after(&mut self, chunks: usize, ending: Ending) {
        self.divide();
        self.chunks.truncate(chunks);
        self.ending = ending;
    }

    /// In an answer that is not streamed there is no place for an error object; it is cut there.
    fn error_after(&mut self, chunks: usize) {
        if !self.streams() {
            return self.end_after(chunks, Ending::Cut);
        }
        self.end_after(chunks, Ending::Complete);
        self.generation = None;
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let mut bytes = b"data: ".to_vec();
        bytes.extend(api::error_body(status, "The simulated engine failed.", None, Some("engine_error")));
        bytes.extend_from_slice(b"\n\n");
        self.append(bytes.into());
    }

    fn append(&mut self, bytes: Bytes) {
        let due = self.chunks.back().map_or(Duration::ZERO, |chunk| chunk.due);
        self.chunks.push_back(Chunk { due, bytes });
    }

    /// A stream gets a broken frame after its first; another answer loses its middle.
    fn malform(&mut self) {
        self.divide();
        if !self.streams() {
            self.chunks.truncate(1);
            return self.append(Bytes::from_static(b"\",,}]"));
        }
        let due = self.chunks.front().map_or(Duration::ZERO, |chunk| chunk.due);
        let broken =
            Bytes::from_static(b"data: {\"id\": \"chatcmpl-broken\", \"choices\": [{\"delta\": {\"cont\n\n");
        self.chunks.insert(self.chunks.len().min(1), Chunk { due, bytes: broken });
    }

    fn halve(&mut self) {
        self.divide();
        self.chunks.truncate(2);
        if let Some(last) = self.chunks.back_mut() {
            last.bytes.truncate(last.bytes.len() / 2);
        }
    }

    /// A stream repeats its second frame, which is the first with text; another answer goes on in blanks.
    fn repeat(&mut self) {
        self.divide();
        self.chunks.truncate(2);
        self.interval = self.interval.max(SHORTEST_INTERVAL);
        let blanks = Bytes::from_static(&[b' '; PIECE_BYTES]);
        let again = if self.streams() { self.chunks.back().map(|chunk| chunk.bytes.clone()) } else { None };
        self.ending = Ending::Repeat(again.unwrap_or(blanks));
    }

    fn overstate(&mut self) {
        let length: usize = self.chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        self.content_length = u64::try_from(length + PIECE_BYTES).ok();
        self.ending = Ending::Cut;
    }

    /// One long line before the last chunk of a stream; an answer that is not streamed gets it in front, as blanks.
    fn inflate(&mut self, size: usize) {
        self.content_length = None;
        let streams = self.streams();
        let last = if streams { self.chunks.pop_back() } else { None };
        let rest = if streams { VecDeque::new() } else { std::mem::take(&mut self.chunks) };
        let filler = Bytes::from(vec![if streams { b'a' } else { b' ' }; FILLER_BYTES]);
        if streams {
            let head = br#"data: {"id":"chatcmpl-huge","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""#;
            self.append(Bytes::from_static(head));
        }
        let mut left = size;
        while left > 0 {
            let bytes = filler.slice(..left.min(FILLER_BYTES));
            left -= bytes.len();
            self.append(bytes);
        }
        if streams {
            self.append(Bytes::from_static(b"\"},\"finish_reason\":null}]}\n\n"));
        }
        self.chunks.extend(rest.into_iter().chain(last));
    }
}

fn failure(code: u16, body: Option<&str>, retry_after: Option<u64>) -> Plan {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match body {
        Some(body) => body.as_bytes().to_vec(),
        None => api::error_body(status, "A simulated failure.", None, Some("simulated_fault")),
    };
    Plan { retry_after, ..Plan::whole(status, body, Duration::ZERO) }
}

fn page() -> Plan {
    let html =
        b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>\n";
    Plan {
        content_type: "text/html; charset=utf-8",
        ..Plan::whole(StatusCode::OK, html.to_vec(), Duration::ZERO)
    }
}
