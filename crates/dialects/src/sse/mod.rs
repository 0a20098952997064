//! Streams of server-sent events: frames in, frames out, and what can be read in passing.
//!
//! The format is the HTML standard's "event stream" (section 9.2); the payload is OpenAI's: one JSON chunk per
//! event, then `[DONE]`. What it is not: a client; it takes bytes as they come, cut anywhere.
//!
//! Invariant: the raw bytes of the frames that a decoder gives, one after the other, are the bytes that it was fed.

mod collect;
mod decoder;
mod encoder;
mod filter;
mod observer;
mod replay;
mod rewrite;

pub use decoder::{Frame, SseDecoder, SseError};
pub use encoder::{DONE, data_frame, error_frame};
pub use filter::{UsageChunkFilter, is_usage_chunk};
pub use observer::{Observation, ObserverLimits, StreamObserver, StreamSummary};
pub use replay::{UsageChunk, replay};
pub use rewrite::rewrite_frame;
