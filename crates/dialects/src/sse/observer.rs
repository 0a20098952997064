//! What can be learnt of a stream while it passes.

use bytes::Bytes;

use super::collect::Collector;
use super::{Frame, SseDecoder};
use crate::Dialect;
use crate::response::{AnswerTextKind, Usage, read};

/// How many finish reasons and choices are kept; the API allows 128 choices.
pub(super) const MOST_CHOICES: usize = 128;

/// An error's JSON is kept up to this length.
const LONGEST_ERROR_BYTES: usize = 4096;

/// The bounds of an observer's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObserverLimits {
    /// The longest event that is read; a longer one ends the observation, not the stream.
    pub event_bytes: usize,
    /// The longest answer that is collected for [`StreamObserver::completion`]; 0 collects nothing.
    pub collected_bytes: usize,
}

/// What the bytes just observed held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The first output of the model is among them: this is the moment of the first token.
    pub first_token: bool,
    /// `[DONE]` is among them.
    pub done: bool,
    /// An error frame is among them.
    pub error: bool,
    /// The extra chunk that `stream_options.include_usage` asks for is among them: `choices` is there and
    /// empty, `usage` is an object.
    pub usage_chunk: bool,
}

/// What is known of a stream so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSummary {
    /// `id` of the chunks.
    pub id: Option<String>,
    /// `model` of the chunks.
    pub model: Option<String>,
    /// How many chunks held output of the model: text, thoughts, refusals or tool calls.
    pub output_chunks: u64,
    /// The last `usage` seen.
    pub usage: Option<Usage>,
    /// The choices' finish reasons, in the order seen.
    pub finish_reasons: Vec<String>,
    /// Whether `[DONE]` was seen.
    pub done: bool,
    /// The raw JSON of the first error frame's `error`, cut at 4 KiB.
    pub error: Option<String>,
    /// How many events held something else than a JSON object.
    pub malformed_frames: u64,
    /// An event was longer than the limit, so that nothing after it was read.
    pub blinded: bool,
}

/// Reads a stream in passing: one pass over the bytes, and only the members that are needed.
#[derive(Debug)]
pub struct StreamObserver {
    decoder: SseDecoder,
    summary: StreamSummary,
    collector: Collector,
}

impl StreamObserver {
    /// An observer of a stream of the dialect.
    #[must_use]
    pub fn new(dialect: Dialect, limits: ObserverLimits) -> Self {
        Self {
            decoder: SseDecoder::new(limits.event_bytes),
            summary: StreamSummary::default(),
            collector: Collector::new(dialect, limits.collected_bytes),
        }
    }

    /// Reads the next bytes, cut anywhere.
    pub fn observe(&mut self, chunk: &[u8]) -> Observation {
        let mut observation = Observation::default();
        if self.summary.blinded {
            return observation;
        }
        self.decoder.feed(chunk);
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => observation = observation.and(self.read(&frame)),
                Ok(None) => return observation,
                Err(_) => {
                    self.summary.blinded = true;
                    self.decoder.take_rest();
                    return observation;
                }
            }
        }
    }

    /// Reads one frame, for callers that have a decoder of their own; they use this instead of `observe`.
    pub fn read(&mut self, frame: &Frame) -> Observation {
        let Some(data) = frame.data() else { return Observation::default() };
        if frame.is_done() {
            self.summary.done = true;
            return Observation { done: true, ..Observation::default() };
        }
        let Ok(chunk) = read::answer(&data) else {
            self.summary.malformed_frames += 1;
            return Observation::default();
        };
        self.read_chunk(&data, &chunk)
    }

    /// Reads what is left when the stream has ended: an event without its blank line.
    pub fn finish(&mut self) -> Observation {
        self.decoder.finish().map(|frame| self.read(&frame)).unwrap_or_default()
    }

    /// What is known so far.
    #[must_use]
    pub fn summary(&self) -> &StreamSummary {
        &self.summary
    }

    /// What was said so far, choices one after the other on lines of their own, up to the bound.
    #[must_use]
    pub fn text(&self) -> String {
        self.collector.text()
    }

    /// The answer that the stream amounts to, as a JSON body. `None` unless the stream ended well, fitted the
    /// bound, and held nothing that a stored answer would lose (log probabilities, sound).
    #[must_use]
    pub fn completion(&self) -> Option<Bytes> {
        let summary = &self.summary;
        let whole =
            summary.done && summary.error.is_none() && summary.malformed_frames == 0 && !summary.blinded;
        whole.then(|| self.collector.completion()).flatten()
    }

    fn read_chunk(&mut self, data: &[u8], chunk: &read::Answer) -> Observation {
        let summary = &mut self.summary;
        let mut observation = Observation { usage_chunk: chunk.is_usage_chunk(), ..Observation::default() };
        if let Some(error) = chunk.error {
            observation.error = true;
            let raw = error.of(data);
            let end =
                (0..=LONGEST_ERROR_BYTES).rev().find(|end| raw.is_char_boundary(*end)).unwrap_or_default();
            summary.error.get_or_insert_with(|| raw.get(..end).unwrap_or(raw).to_owned());
        }
        if summary.id.is_none() {
            summary.id = chunk.id.map(|literal| literal.decoded(data).into_owned());
        }
        if summary.model.is_none() {
            summary.model = chunk.model.map(|literal| literal.decoded(data).into_owned());
        }
        summary.usage = chunk.usage.or(summary.usage);
        let reasons = chunk.choices.iter().filter_map(|choice| choice.finish_reason);
        let room = MOST_CHOICES.saturating_sub(summary.finish_reasons.len());
        summary.finish_reasons.extend(reasons.take(room).map(|literal| literal.decoded(data).into_owned()));
        if has_output(chunk) {
            observation.first_token = summary.output_chunks == 0;
            summary.output_chunks += 1;
        }
        self.collector.add(data, chunk);
        observation
    }
}

impl Observation {
    fn and(self, other: Self) -> Self {
        Self {
            first_token: self.first_token || other.first_token,
            done: self.done || other.done,
            error: self.error || other.error,
            usage_chunk: self.usage_chunk || other.usage_chunk,
        }
    }
}

/// Whether the model put out something: a text that is not empty, or the start of a tool call.
fn has_output(chunk: &read::Answer) -> bool {
    let mut pieces = chunk.choices.iter().flat_map(|choice| &choice.pieces);
    pieces.any(|piece| match piece.kind.text_kind() {
        Some(AnswerTextKind::ToolArguments) | None => true,
        Some(_) => !piece.literal.body().is_empty(),
    })
}
