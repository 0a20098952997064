//! Taking the extra usage chunk out again, when it was us who asked for it.

use bytes::{Bytes, BytesMut};

use super::{Frame, SseDecoder};
use crate::response::read;

/// Whether a frame is the extra chunk that `stream_options.include_usage` asks for: `choices` is there and
/// empty, `usage` is an object.
#[must_use]
pub fn is_usage_chunk(frame: &Frame) -> bool {
    let Some(data) = frame.data() else { return false };
    read::answer(&data).is_ok_and(|chunk| chunk.is_usage_chunk())
}

/// Passes a stream on without its usage chunk, every other frame byte for byte. An event that is too long to
/// hold is passed on as it comes, and so is everything after it.
#[derive(Debug)]
pub struct UsageChunkFilter {
    /// `None` once everything is passed on.
    decoder: Option<SseDecoder>,
}

impl UsageChunkFilter {
    /// A filter that holds back events of at most `limit_bytes` until they are whole.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self { decoder: Some(SseDecoder::new(limit_bytes)) }
    }

    /// Takes the next bytes and gives those that may go on.
    #[must_use]
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        let Some(decoder) = &mut self.decoder else { return Bytes::copy_from_slice(chunk) };
        decoder.feed(chunk);
        let mut passed = BytesMut::with_capacity(chunk.len());
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) if is_usage_chunk(&frame) => {}
                Ok(Some(frame)) => passed.extend_from_slice(frame.raw()),
                Ok(None) => break,
                Err(_) => {
                    passed.extend_from_slice(&decoder.take_rest());
                    self.decoder = None;
                    break;
                }
            }
        }
        passed.freeze()
    }

    /// What is left when the stream has ended.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let last = self.decoder.as_mut().and_then(SseDecoder::finish);
        last.filter(|frame| !is_usage_chunk(frame)).map(|frame| frame.raw().clone()).unwrap_or_default()
    }
}
