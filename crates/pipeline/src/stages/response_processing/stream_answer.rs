//! An answer that comes as a stream of events.

use bytes::{Bytes, BytesMut};
use dialects::Dialect;
use dialects::response::{AnswerText, AnswerTextKind};
use dialects::sse::{
    DONE, Frame, ObserverLimits, SseDecoder, StreamObserver, StreamSummary, data_frame, rewrite_frame,
};
use serde_json::json;

use super::{Learnt, Tokens, Treatment};
use crate::masking::MaskMap;

/// Longest event that is read; a longer one passes unread.
const EVENT_BYTES: usize = 1024 * 1024;

/// Reads a stream in passing.
pub(crate) struct StreamAnswer {
    observer: StreamObserver,
    /// Present where frames have to be looked at before they go on.
    editor: Option<Editor>,
}

/// Drops the usage chunk and turns placeholders back.
struct Editor {
    decoder: SseDecoder,
    dialect: Dialect,
    strip_usage: bool,
    masks: MaskMap,
    /// Ends of texts that may be the beginning of a placeholder.
    held: Vec<Held>,
    unmasked: u32,
    /// An event was too long to hold: everything passes.
    blind: bool,
}

struct Held {
    choice: u32,
    tool: u32,
    kind: AnswerTextKind,
    tail: String,
}

impl Held {
    fn is_of(&self, text: &AnswerText<'_>) -> bool {
        (self.choice, self.tool, self.kind) == (text.choice, text.tool, text.kind)
    }

    /// A chunk that says only the tail. The chunk that it came in has gone out already, with its role, ids and reasons.
    fn chunk(&self, dialect: Dialect, summary: &StreamSummary) -> String {
        let tail = &self.tail;
        let (object, choice) = match (dialect, self.kind) {
            (Dialect::Completions, _) => {
                ("text_completion", json!({"index": self.choice, "text": tail, "finish_reason": null}))
            }
            (_, kind) => {
                let delta = match kind {
                    AnswerTextKind::Content => json!({"content": tail}),
                    AnswerTextKind::Refusal => json!({"refusal": tail}),
                    AnswerTextKind::Reasoning => json!({"reasoning_content": tail}),
                    AnswerTextKind::ToolArguments => {
                        json!({"tool_calls": [{"index": self.tool, "function": {"arguments": tail}}]})
                    }
                };
                (
                    "chat.completion.chunk",
                    json!({"index": self.choice, "delta": delta, "finish_reason": null}),
                )
            }
        };
        json!({"id": summary.id, "object": object, "model": summary.model, "choices": [choice]}).to_string()
    }
}

impl StreamAnswer {
    pub(crate) fn new(treatment: Treatment) -> StreamAnswer {
        let limits = ObserverLimits { event_bytes: EVENT_BYTES, collected_bytes: treatment.collect_bytes };
        let edits = treatment.strip_usage || !treatment.masks.is_empty();
        StreamAnswer {
            observer: StreamObserver::new(treatment.dialect, limits),
            editor: edits.then(|| Editor {
                decoder: SseDecoder::new(EVENT_BYTES),
                dialect: treatment.dialect,
                strip_usage: treatment.strip_usage,
                masks: treatment.masks,
                held: Vec::new(),
                unmasked: 0,
                blind: false,
            }),
        }
    }

    pub(crate) fn push(&mut self, chunk: &Bytes) -> (Option<Bytes>, Tokens) {
        let before = self.observer.summary().output_chunks;
        let emitted = match &mut self.editor {
            None => {
                self.observer.observe(chunk);
                Some(chunk.clone())
            }
            Some(editor) => editor.push(chunk, &mut self.observer),
        };
        let after = self.observer.summary().output_chunks;
        let tokens = match (before, after) {
            (0, after) if after > 0 => Tokens::First,
            (before, after) if after > before => Tokens::Some,
            _ => Tokens::None,
        };
        (emitted, tokens)
    }

    pub(crate) fn end(&mut self) -> Option<Bytes> {
        let Some(editor) = &mut self.editor else {
            self.observer.finish();
            return None;
        };
        editor.end(&mut self.observer)
    }

    pub(crate) fn learnt(&mut self) -> Learnt {
        let summary: StreamSummary = self.observer.summary().clone();
        Learnt {
            body: self.observer.completion(),
            unmasked: self.editor.as_ref().map_or(0, |editor| editor.unmasked),
            malformed: summary.malformed_frames > 0,
            summary,
        }
    }

    /// Whether the backend said how the stream ends: that it is complete, or with an error of its own. After an event too
    /// long to read nobody knows, and the backend's word is taken.
    pub(crate) fn done(&self) -> bool {
        let summary = self.observer.summary();
        summary.done || !summary.finish_reasons.is_empty() || summary.error.is_some() || self.is_blind()
    }

    fn is_blind(&self) -> bool {
        self.observer.summary().blinded || self.editor.as_ref().is_some_and(|editor| editor.blind)
    }

    /// Some servers end a stream with the finish reason alone. The API promises its clients `[DONE]` after it, and only
    /// after an answer that is whole: an error has none.
    pub(crate) fn say_last_word(&mut self) -> bool {
        let summary = self.observer.summary();
        let whole = !summary.finish_reasons.is_empty() && summary.error.is_none();
        let unsaid = whole && !summary.done && !self.is_blind();
        if unsaid {
            self.observer.observe(DONE);
        }
        unsaid
    }
}

impl Editor {
    fn push(&mut self, chunk: &Bytes, observer: &mut StreamObserver) -> Option<Bytes> {
        if self.blind {
            return Some(chunk.clone());
        }
        self.decoder.feed(chunk);
        let mut passed = BytesMut::with_capacity(chunk.len());
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => self.pass(&frame, observer, &mut passed),
                Ok(None) => break,
                Err(_) => {
                    self.release(observer.summary(), &mut passed);
                    passed.extend_from_slice(&self.decoder.take_rest());
                    self.blind = true;
                    break;
                }
            }
        }
        (!passed.is_empty()).then(|| passed.freeze())
    }

    fn end(&mut self, observer: &mut StreamObserver) -> Option<Bytes> {
        let mut passed = BytesMut::new();
        if let Some(frame) = self.decoder.finish() {
            let malformed = observer.summary().malformed_frames;
            let mut last = BytesMut::new();
            self.pass(&frame, observer, &mut last);
            // Half an event says nothing, and would swallow what follows it; the protocol discards it too.
            if observer.summary().malformed_frames == malformed {
                passed.extend_from_slice(&last);
            }
        }
        self.release(observer.summary(), &mut passed);
        (!passed.is_empty()).then(|| passed.freeze())
    }

    fn pass(&mut self, frame: &Frame, observer: &mut StreamObserver, passed: &mut BytesMut) {
        let observation = observer.read(frame);
        if self.strip_usage && observation.usage_chunk {
            return;
        }
        if self.masks.is_empty() {
            passed.extend_from_slice(frame.raw());
            return;
        }
        self.restore(frame, observer.summary(), passed);
    }

    /// Passes a frame with placeholders turned back. A text that ends in what may be the beginning of a placeholder
    /// waits for the next text of its choice; a frame without one lets everything out that waits.
    fn restore(&mut self, frame: &Frame, summary: &StreamSummary, passed: &mut BytesMut) {
        let Editor { masks, held, unmasked, .. } = self;
        let mut waiting = Vec::new();
        let mut touched = false;
        let rewritten = rewrite_frame(frame, &mut |text| {
            touched = true;
            let place = held.iter().position(|held| held.is_of(text));
            let before = place.map(|place| held.swap_remove(place).tail).unwrap_or_default();
            let whole = format!("{before}{}", text.text);
            let ready = masks.hold_back(&whole);
            if ready < whole.len() {
                let tail = whole[ready..].to_owned();
                waiting.push(Held { choice: text.choice, tool: text.tool, kind: text.kind, tail });
            }
            let restored = masks.unmask(&whole[..ready]);
            if restored != whole[..ready] {
                *unmasked += 1;
            }
            (restored != *text.text).then_some(restored)
        });
        if !touched {
            self.release(summary, passed);
        }
        self.held.extend(waiting);
        passed.extend_from_slice(&rewritten);
    }

    /// Lets out what waits, each text in a chunk of its own.
    fn release(&mut self, summary: &StreamSummary, passed: &mut BytesMut) {
        for held in self.held.drain(..) {
            passed.extend_from_slice(&data_frame(&held.chunk(self.dialect, summary)));
        }
    }
}
