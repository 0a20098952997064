//! From one stored answer to the stream that it would have come as.

use bytes::Bytes;

use super::{DONE, data_frame};
use crate::Dialect;
use crate::response::read::{self, Answer, Choice, Piece, PieceKind};
use crate::response::{AnswerError, AnswerTextKind};

/// Texts are cut before the first blank after this many bytes.
const PIECE_BYTES: usize = 16;

/// Whether the client asked for the usage of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UsageChunk {
    /// `include_usage` was true: one more chunk, with `choices` empty.
    Include,
    /// No usage in the stream.
    Omit,
}

/// The frames of a stream that says what the stored answer says: per choice its role, its content in pieces,
/// its tool calls and its finish; then the usage if it is wanted; then `[DONE]`. Id, time and model are the
/// stored ones. Log probabilities, sound and annotations are not replayed.
///
/// # Errors
///
/// [`AnswerError`] when the stored body is not a JSON object.
pub fn replay(dialect: Dialect, stored: &[u8], usage: UsageChunk) -> Result<Vec<Bytes>, AnswerError> {
    let answer = read::answer(stored)?;
    let writer = Writer { stored, head: head(dialect, stored, &answer), usage };
    let mut frames = Vec::new();
    for choice in &answer.choices {
        match dialect {
            Dialect::Completions => writer.completion(choice, &mut frames),
            _ => writer.chat(choice, &mut frames),
        }
    }
    if let (UsageChunk::Include, Some(span)) = (usage, answer.usage_span) {
        let head = &writer.head;
        frames.push(data_frame(&format!(r#"{head},"choices":[],"usage":{}}}"#, span.of(stored))));
    }
    frames.push(Bytes::from_static(DONE));
    Ok(frames)
}

struct Writer<'a> {
    stored: &'a [u8],
    /// The opening brace and the members that are the same in every chunk.
    head: String,
    usage: UsageChunk,
}

fn head(dialect: Dialect, stored: &[u8], answer: &Answer) -> String {
    let object = if dialect == Dialect::Completions { "text_completion" } else { "chat.completion.chunk" };
    let raw =
        |literal: Option<crate::json::Literal>| literal.map_or("\"\"", |literal| literal.span.of(stored));
    let (id, model) = (raw(answer.id), raw(answer.model));
    let created = answer.created.unwrap_or_default();
    let mut head = format!(r#"{{"id":{id},"object":"{object}","created":{created},"model":{model}"#);
    if let Some(fingerprint) = answer.system_fingerprint {
        head.push_str(&format!(r#","system_fingerprint":{}"#, fingerprint.span.of(stored)));
    }
    head
}

impl Writer<'_> {
    fn completion(&self, choice: &Choice, frames: &mut Vec<Bytes>) {
        for piece in &choice.pieces {
            for text in pieces(piece.literal.body().of(self.stored)) {
                frames.push(self.frame(choice, &format!(r#""text":"{text}""#), "null"));
            }
        }
        frames.push(self.frame(choice, r#""text":"""#, self.finish_reason(choice)));
    }

    fn chat(&self, choice: &Choice, frames: &mut Vec<Bytes>) {
        let delta = |delta: &str| self.frame(choice, &format!(r#""delta":{{{delta}}}"#), "null");
        let has_content = choice.pieces.iter().any(|piece| piece.kind == PieceKind::Content);
        let content = if has_content { "\"\"" } else { "null" };
        frames.push(delta(&format!(r#""role":"assistant","content":{content}"#)));
        let mut last_tool = None;
        // Thoughts come before what is said, though a stored answer may have them after it.
        let is_thought = |piece: &&Piece| piece.kind.text_kind() == Some(AnswerTextKind::Reasoning);
        let thoughts = choice.pieces.iter().filter(is_thought);
        for piece in thoughts.chain(choice.pieces.iter().filter(|piece| !is_thought(piece))) {
            // A tool call opens with its id, type and name in one chunk, wherever they stand in the answer.
            if piece.kind.is_of_tool() && last_tool.replace(piece.tool) != Some(piece.tool) {
                frames.push(delta(&self.opening(choice, piece.tool)));
            }
            if piece.kind.text_kind().is_some() || piece.kind == PieceKind::LegacyCallName {
                let texts = pieces(piece.literal.body().of(self.stored));
                frames.extend(texts.map(|text| delta(&delta_member(piece, text))));
            }
        }
        frames.push(self.frame(choice, r#""delta":{}"#, self.finish_reason(choice)));
    }

    fn opening(&self, choice: &Choice, tool: u32) -> String {
        let find = |kind| {
            let mut of_tool = choice.pieces.iter().filter(|piece| piece.tool == tool);
            of_tool.find(|piece| piece.kind == kind).map(|piece| piece.literal.span.of(self.stored))
        };
        let id = find(PieceKind::ToolId).unwrap_or("\"\"");
        if let Some(name) = find(PieceKind::CustomName) {
            let custom = format!(r#""custom":{{"name":{name},"input":""}}"#);
            return format!(r#""tool_calls":[{{"index":{tool},"id":{id},"type":"custom",{custom}}}]"#);
        }
        let kind = find(PieceKind::ToolType).unwrap_or("\"function\"");
        let name = find(PieceKind::FunctionName).unwrap_or("\"\"");
        let function = format!(r#""function":{{"name":{name},"arguments":""}}"#);
        format!(r#""tool_calls":[{{"index":{tool},"id":{id},"type":{kind},{function}}}]"#)
    }

    fn finish_reason(&self, choice: &Choice) -> &str {
        choice.finish_reason.map_or("null", |literal| literal.span.of(self.stored))
    }

    fn frame(&self, choice: &Choice, said: &str, reason: &str) -> Bytes {
        let head = &self.head;
        let index = choice.index;
        // With usage asked for, the API writes a null into every other chunk.
        let usage = if self.usage == UsageChunk::Include { r#","usage":null"# } else { "" };
        data_frame(&format!(
            r#"{head},"choices":[{{"index":{index},{said},"logprobs":null,"finish_reason":{reason}}}]{usage}}}"#
        ))
    }
}

/// The member of a delta that carries a piece of text, still escaped.
fn delta_member(piece: &Piece, text: &str) -> String {
    let tool = piece.tool;
    match piece.kind {
        PieceKind::Refusal => format!(r#""refusal":"{text}""#),
        PieceKind::ReasoningContent => format!(r#""reasoning_content":"{text}""#),
        PieceKind::Reasoning => format!(r#""reasoning":"{text}""#),
        PieceKind::FunctionArguments => {
            format!(r#""tool_calls":[{{"index":{tool},"function":{{"arguments":"{text}"}}}}]"#)
        }
        PieceKind::CustomInput => {
            format!(r#""tool_calls":[{{"index":{tool},"custom":{{"input":"{text}"}}}}]"#)
        }
        PieceKind::LegacyCallName => format!(r#""function_call":{{"name":"{text}"}}"#),
        PieceKind::LegacyCallArguments => format!(r#""function_call":{{"arguments":"{text}"}}"#),
        _ => format!(r#""content":"{text}""#),
    }
}

/// Cuts an escaped text before blanks. No escape holds a blank, so that none is cut in two.
fn pieces(escaped: &str) -> impl Iterator<Item = &str> {
    let mut rest = escaped;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let after = rest.as_bytes().get(PIECE_BYTES..).unwrap_or_default();
        let end = memchr::memchr(b' ', after).map_or(rest.len(), |blank| PIECE_BYTES + blank);
        let (piece, remaining) = rest.split_at(end);
        rest = remaining;
        Some(piece)
    })
}
