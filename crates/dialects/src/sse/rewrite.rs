//! Rewriting the texts of one frame, as unmasking does.

use bytes::Bytes;

use super::{Frame, data_frame};
use crate::response::{AnswerText, read, rewrite_texts};

/// The frame's bytes with each text for which `rewrite` has a replacement replaced; the same bytes, not a
/// copy, if there is none or if the frame holds no chunk.
#[must_use]
pub fn rewrite_frame(frame: &Frame, rewrite: &mut dyn FnMut(&AnswerText<'_>) -> Option<String>) -> Bytes {
    let raw = frame.raw();
    let Some(data) = frame.data() else { return raw.clone() };
    let Ok(chunk) = read::answer(&data) else { return raw.clone() };
    let rewritten = rewrite_texts(&data, &chunk, rewrite);
    if rewritten == data {
        return raw.clone();
    }
    let Some(range) = frame.data_range() else { return data_frame(&String::from_utf8_lossy(&rewritten)) };
    let before = raw.get(..range.start).unwrap_or_default();
    let after = raw.get(range.end..).unwrap_or_default();
    [before, &rewritten, after].concat().into()
}
