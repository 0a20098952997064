//! `semantic_router.response.processing`: reading an answer in passing, turning placeholders back, counting tokens.
//!
//! An [`AnswerReader`] is fed the bytes of one answer as they come and gives those that may go on. It holds bytes back
//! only where it must change them: for masked data, and for the usage chunk that the client did not ask for.

mod json_answer;
mod stream_answer;

use bytes::Bytes;
use dialects::Dialect;
use dialects::sse::StreamSummary;

pub(crate) use json_answer::JsonAnswer;
pub(crate) use stream_answer::StreamAnswer;

use crate::masking::MaskMap;

/// What shall happen to an answer while it passes.
pub(crate) struct Treatment {
    /// The dialect of the request.
    pub(crate) dialect: Dialect,
    /// What turns placeholders back; empty if nothing was masked, or answers are to be left alone.
    pub(crate) masks: MaskMap,
    /// Whether the usage chunk was asked for by us.
    pub(crate) strip_usage: bool,
    /// Largest answer that is collected, for the counts and the cache, in bytes.
    pub(crate) collect_bytes: usize,
}

/// Reads one answer.
pub(crate) enum AnswerReader {
    /// A JSON body.
    Json(JsonAnswer),
    /// A stream of events.
    Stream(Box<StreamAnswer>),
    /// An error of the backend, or anything else that only passes through.
    Opaque,
}

/// What was learnt from an answer.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// Ids, model, counts, reasons.
    pub(crate) summary: StreamSummary,
    /// The answer as a JSON body, if it was complete and fitted.
    pub(crate) body: Option<Bytes>,
    /// Placeholders turned back.
    pub(crate) unmasked: u32,
    /// The body was not what its content type says.
    pub(crate) malformed: bool,
}

impl AnswerReader {
    /// Takes the next bytes; gives those that may go on, and whether they hold the first and any output of the model.
    pub(crate) fn push(&mut self, chunk: &Bytes) -> (Option<Bytes>, Tokens) {
        match self {
            AnswerReader::Json(answer) => (answer.push(chunk), Tokens::None),
            AnswerReader::Stream(answer) => answer.push(chunk),
            AnswerReader::Opaque => (Some(chunk.clone()), Tokens::None),
        }
    }

    /// The answer has ended: the bytes that were held back.
    pub(crate) fn end(&mut self) -> Option<Bytes> {
        match self {
            AnswerReader::Json(answer) => answer.end(),
            AnswerReader::Stream(answer) => answer.end(),
            AnswerReader::Opaque => None,
        }
    }

    /// What was learnt, once it has ended.
    pub(crate) fn learnt(&mut self) -> Learnt {
        match self {
            AnswerReader::Json(answer) => answer.learnt(),
            AnswerReader::Stream(answer) => answer.learnt(),
            AnswerReader::Opaque => Learnt::default(),
        }
    }

    /// Whether the answer, now that its bytes have ended, is whole as far as its form can tell.
    pub(crate) fn complete(&self) -> bool {
        match self {
            AnswerReader::Stream(answer) => answer.done(),
            AnswerReader::Json(_) | AnswerReader::Opaque => true,
        }
    }

    /// Whether `[DONE]` has to be added to a whole stream whose backend closed it without. From then on it counts as said.
    pub(crate) fn say_last_word(&mut self) -> bool {
        match self {
            AnswerReader::Stream(answer) => answer.say_last_word(),
            AnswerReader::Json(_) | AnswerReader::Opaque => false,
        }
    }

    /// Whether the client has seen a stream begin, so that a fault has to be told within it.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, AnswerReader::Stream(_))
    }

    /// Whether the length of the body may differ from what the backend announced.
    pub(crate) fn changes_length(&self) -> bool {
        match self {
            AnswerReader::Json(answer) => answer.holds(),
            AnswerReader::Stream(_) => true,
            AnswerReader::Opaque => false,
        }
    }
}

/// Output of the model within a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// None.
    None,
    /// Some.
    Some,
    /// The first.
    First,
}
