//! From bytes, cut anywhere, to frames.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event with the blank line that ends it, or comments and blank lines between events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    raw: Bytes,
    data: Data,
    event: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    None,
    /// One `data` line: its value as a range of the raw bytes.
    Line(Range<usize>),
    /// Several `data` lines, joined by line feeds.
    Lines(Bytes),
}

/// What stops a stream from being decoded; the backend's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event does not end within the limit.
    #[error("an event of the stream is longer than {limit_bytes} bytes")]
    EventTooLarge {
        /// The limit that the decoder was made with.
        limit_bytes: usize,
    },
}

/// Takes chunks as they come and gives frames. Holds at most one unfinished event, of bounded size.
#[derive(Debug)]
pub struct SseDecoder {
    buffer: BytesMut,
    /// Where the line begins that is being looked at.
    line_start: usize,
    /// How far line ends were looked for, so that no byte is looked at twice.
    searched: usize,
    at_start: bool,
    limit_bytes: usize,
}

impl Frame {
    fn parse(raw: Bytes, skipped: usize) -> Self {
        let mut data = None;
        let mut joined = Vec::new();
        let mut event = None;
        for line in lines(&raw, skipped) {
            let (name, value) = field(&raw, line);
            match name {
                b"data" => match data.clone() {
                    None => data = Some(value),
                    Some(first) => {
                        if joined.is_empty() {
                            joined.extend_from_slice(raw.get(first).unwrap_or_default());
                        }
                        joined.push(b'\n');
                        joined.extend_from_slice(raw.get(value).unwrap_or_default());
                    }
                },
                b"event" => event = Some(raw.slice(value)),
                _ => {}
            }
        }
        let data = match data {
            None => Data::None,
            Some(line) if joined.is_empty() => Data::Line(line),
            Some(_) => Data::Lines(joined.into()),
        };
        Self { raw, data, event }
    }

    /// The bytes as they came, line ends and all.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The event's data; `None` for comments and blank lines.
    #[must_use]
    pub fn data(&self) -> Option<Bytes> {
        match &self.data {
            Data::None => None,
            Data::Line(range) => Some(self.raw.slice(range.clone())),
            Data::Lines(joined) => Some(joined.clone()),
        }
    }

    /// The event's name, which OpenAI's streams do not use and others do.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.event.as_ref().and_then(|event| std::str::from_utf8(event).ok())
    }

    /// Whether it is `data: [DONE]`.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.data().is_some_and(|data| data.trim_ascii() == b"[DONE]")
    }

    /// Where the data stands in the raw bytes, if on one line.
    pub(super) fn data_range(&self) -> Option<Range<usize>> {
        match &self.data {
            Data::Line(range) => Some(range.clone()),
            Data::None | Data::Lines(_) => None,
        }
    }
}

impl SseDecoder {
    /// A decoder that takes events of at most `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), line_start: 0, searched: 0, at_start: true, limit_bytes }
    }

    /// Takes the next bytes. Then ask for frames until there are none.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next frame that has ended.
    ///
    /// A carriage return at the very end waits for the next byte: it may be half of a line end.
    ///
    /// # Errors
    ///
    /// [`SseError::EventTooLarge`]; from then on the decoder gives nothing but that error, and
    /// [`SseDecoder::take_rest`] the bytes that it still holds.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SseError> {
        while let Some(found) = memchr2(b'\r', b'\n', self.buffer.get(self.searched..).unwrap_or_default()) {
            let at = self.searched + found;
            let next = self.buffer.get(at + 1);
            let length = match (self.buffer.get(at), next) {
                (Some(b'\r'), None) => {
                    self.searched = at;
                    return self.within_limit(self.buffer.len());
                }
                (Some(b'\r'), Some(b'\n')) => 2,
                _ => 1,
            };
            let blank = at == self.line_start + self.skipped_on(self.line_start);
            self.line_start = at + length;
            self.searched = at + length;
            if blank {
                self.within_limit(self.searched)?;
                return Ok(Some(self.take(self.searched)));
            }
        }
        self.searched = self.buffer.len();
        self.within_limit(self.buffer.len())
    }

    /// What is left when the stream has ended: an event without its blank line, which careless servers send last.
    pub fn finish(&mut self) -> Option<Frame> {
        (!self.buffer.is_empty()).then(|| self.take(self.buffer.len()))
    }

    /// The bytes that are held back, as they came; the decoder begins anew.
    pub fn take_rest(&mut self) -> Bytes {
        self.line_start = 0;
        self.searched = 0;
        self.buffer.split().freeze()
    }

    fn take(&mut self, length: usize) -> Frame {
        let skipped = self.skipped_on(0);
        self.at_start = false;
        self.line_start = 0;
        self.searched = 0;
        Frame::parse(self.buffer.split_to(length).freeze(), skipped)
    }

    /// The bytes at the front of a line that are not part of it: a byte order mark on the very first.
    fn skipped_on(&self, line_start: usize) -> usize {
        let first = self.at_start && line_start == 0 && self.buffer.starts_with(BYTE_ORDER_MARK);
        if first { BYTE_ORDER_MARK.len() } else { 0 }
    }

    fn within_limit(&self, length: usize) -> Result<Option<Frame>, SseError> {
        if length > self.limit_bytes {
            return Err(SseError::EventTooLarge { limit_bytes: self.limit_bytes });
        }
        Ok(None)
    }
}

/// The lines of a frame without their ends.
fn lines(raw: &[u8], mut at: usize) -> impl Iterator<Item = Range<usize>> {
    std::iter::from_fn(move || {
        let rest = raw.get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let line = at..at + length;
        let end = if rest.get(length..).is_some_and(|end| end.starts_with(b"\r\n")) { 2 } else { 1 };
        at += length + end;
        Some(line)
    })
}

/// A line's name, and where its value stands: after the colon and at most one space.
fn field(raw: &[u8], line: Range<usize>) -> (&[u8], Range<usize>) {
    let bytes = raw.get(line.clone()).unwrap_or_default();
    let Some(colon) = memchr::memchr(b':', bytes) else { return (bytes, line.end..line.end) };
    let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
    (bytes.get(..colon).unwrap_or_default(), line.start + colon + 1 + space..line.end)
}
