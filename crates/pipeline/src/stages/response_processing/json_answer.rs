//! An answer that comes as one JSON body.

use bytes::{Bytes, BytesMut};
use dialects::response::ParsedAnswer;
use dialects::sse::StreamSummary;

use super::{Learnt, Treatment};
use crate::masking::MaskMap;

/// Collects a JSON answer. Its bytes pass on as they come, unless placeholders have to be turned back.
pub(crate) struct JsonAnswer {
    masks: MaskMap,
    pieces: Vec<Bytes>,
    size: usize,
    collect_bytes: usize,
    unmasked: u32,
    /// The body without placeholders turned back: what may be remembered.
    whole: Option<Bytes>,
}

impl JsonAnswer {
    pub(crate) fn new(treatment: Treatment) -> JsonAnswer {
        JsonAnswer {
            masks: treatment.masks,
            pieces: Vec::new(),
            size: 0,
            collect_bytes: treatment.collect_bytes,
            unmasked: 0,
            whole: None,
        }
    }

    /// Whether bytes are held back until the end.
    pub(crate) fn holds(&self) -> bool {
        !self.masks.is_empty()
    }

    pub(crate) fn push(&mut self, chunk: &Bytes) -> Option<Bytes> {
        let fitted = self.fits();
        self.size = self.size.saturating_add(chunk.len());
        if self.fits() {
            self.pieces.push(chunk.clone());
            return (!self.holds()).then(|| chunk.clone());
        }
        if !self.holds() {
            self.pieces.clear();
            return Some(chunk.clone());
        }
        // Too long to hold: what was held goes out as it is, and everything after it too.
        let mut rest = if fitted { self.joined() } else { BytesMut::new() };
        self.pieces.clear();
        rest.extend_from_slice(chunk);
        Some(rest.freeze())
    }

    pub(crate) fn end(&mut self) -> Option<Bytes> {
        if !self.fits() {
            return None;
        }
        let whole = match self.pieces.as_slice() {
            [only] => only.clone(),
            _ => self.joined().freeze(),
        };
        self.pieces.clear();
        self.whole = Some(whole.clone());
        if !self.holds() {
            return None;
        }
        let Ok(answer) = ParsedAnswer::parse(whole.clone()) else { return Some(whole) };
        let (masks, unmasked) = (&self.masks, &mut self.unmasked);
        Some(answer.rewritten(&mut |text| {
            let restored = masks.unmask(&text.text);
            (restored != *text.text).then(|| {
                *unmasked += 1;
                restored
            })
        }))
    }

    pub(crate) fn learnt(&mut self) -> Learnt {
        let Some(body) = self.whole.take() else { return Learnt::default() };
        let Ok(answer) = ParsedAnswer::parse(body.clone()) else {
            return Learnt { malformed: true, ..Learnt::default() };
        };
        let summary = StreamSummary {
            id: answer.id().map(std::borrow::Cow::into_owned),
            model: answer.model().map(std::borrow::Cow::into_owned),
            usage: answer.usage(),
            finish_reasons: answer.finish_reasons(),
            error: answer.error().map(str::to_owned),
            ..StreamSummary::default()
        };
        let good = summary.error.is_none() && answer.choice_count() > 0;
        Learnt { summary, body: good.then_some(body), unmasked: self.unmasked, malformed: false }
    }

    fn fits(&self) -> bool {
        self.size <= self.collect_bytes
    }

    fn joined(&self) -> BytesMut {
        let mut whole = BytesMut::with_capacity(self.size);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole
    }
}
