//! From a stream's chunks to the one answer that they amount to.

use bytes::Bytes;

use super::observer::MOST_CHOICES;
use crate::json::Span;
use crate::response::read::{Answer, Choice, PieceKind};
use crate::{Dialect, json};

/// Texts are kept as they stand in JSON, still escaped: pieces joined so are right even where a server cuts a
/// surrogate pair in two, and nothing is decoded only to be encoded again.
#[derive(Debug)]
pub(super) struct Collector {
    dialect: Dialect,
    room_bytes: usize,
    /// Something did not fit or could not be kept, so that there is no whole answer.
    incomplete: bool,
    id: Option<String>,
    model: Option<String>,
    system_fingerprint: Option<String>,
    created: Option<u64>,
    usage: Option<String>,
    choices: Vec<Collected>,
}

#[derive(Debug)]
struct Collected {
    index: u32,
    finish_reason: Option<String>,
    texts: Vec<CollectedText>,
}

#[derive(Debug)]
struct CollectedText {
    kind: PieceKind,
    tool: u32,
    escaped: String,
}

impl Collector {
    pub(super) fn new(dialect: Dialect, room_bytes: usize) -> Self {
        Self {
            dialect,
            room_bytes,
            incomplete: room_bytes == 0,
            id: None,
            model: None,
            system_fingerprint: None,
            created: None,
            usage: None,
            choices: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, data: &[u8], chunk: &Answer) {
        if self.incomplete {
            return;
        }
        self.created = self.created.or(chunk.created);
        let head = [
            (&mut self.id, chunk.id.map(|literal| literal.span)),
            (&mut self.model, chunk.model.map(|literal| literal.span)),
            (&mut self.system_fingerprint, chunk.system_fingerprint.map(|literal| literal.span)),
        ];
        for (kept, span) in head {
            if let (None, Some(span)) = (&kept, span) {
                *kept = take(&mut self.room_bytes, data, span);
                self.incomplete |= kept.is_none();
            }
        }
        if let Some(span) = chunk.usage_span {
            // Each usage replaces the one before, so that only the longest takes room.
            self.incomplete |= span.range().len() > self.room_bytes;
            self.usage = Some(span.of(data).to_owned());
        }
        for choice in &chunk.choices {
            self.incomplete |= choice.has_more || self.add_choice(data, choice).is_none();
        }
    }

    /// `None` when it does not fit.
    fn add_choice(&mut self, data: &[u8], choice: &Choice) -> Option<()> {
        let known = self.choices.iter().position(|collected| collected.index == choice.index);
        let position = known.unwrap_or(self.choices.len());
        if position >= MOST_CHOICES {
            return None;
        }
        if known.is_none() {
            self.choices.push(Collected { index: choice.index, finish_reason: None, texts: Vec::new() });
        }
        let collected = self.choices.get_mut(position)?;
        if let Some(reason) = choice.finish_reason {
            collected.finish_reason = Some(take(&mut self.room_bytes, data, reason.span)?);
        }
        for piece in &choice.pieces {
            let text = collected.text(piece.kind, piece.tool)?;
            // Names and ids come once; some servers repeat them.
            if piece.kind.text_kind().is_some() || text.escaped.is_empty() {
                let body = piece.literal.body();
                self.room_bytes = self.room_bytes.checked_sub(body.range().len())?;
                text.escaped.push_str(body.of(data));
            }
        }
        Some(())
    }

    pub(super) fn text(&self) -> String {
        let said = self.choices.iter().filter_map(|choice| choice.find(PieceKind::Content, 0));
        said.map(json::decode).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn completion(&self) -> Option<Bytes> {
        if self.incomplete || self.choices.is_empty() {
            return None;
        }
        let (id, model) = (self.id.as_deref()?, self.model.as_deref()?);
        let object = if self.dialect == Dialect::Completions { "text_completion" } else { "chat.completion" };
        let created = self.created.unwrap_or_default();
        let mut body =
            format!(r#"{{"id":{id},"object":"{object}","created":{created},"model":{model},"choices":["#);
        let mut choices: Vec<&Collected> = self.choices.iter().collect();
        choices.sort_by_key(|choice| choice.index);
        for (position, choice) in choices.into_iter().enumerate() {
            if position > 0 {
                body.push(',');
            }
            choice.write(self.dialect, &mut body)?;
        }
        body.push(']');
        for (name, raw) in [("usage", &self.usage), ("system_fingerprint", &self.system_fingerprint)] {
            if let Some(raw) = raw {
                body.push_str(&format!(r#","{name}":{raw}"#));
            }
        }
        body.push('}');
        Some(Bytes::from(body))
    }
}

impl Collected {
    /// The text of a kind, begun if there is none; `None` when there are too many.
    fn text(&mut self, kind: PieceKind, tool: u32) -> Option<&mut CollectedText> {
        let known = self.texts.iter().position(|text| text.kind == kind && text.tool == tool);
        let position = known.unwrap_or(self.texts.len());
        if position >= 8 * MOST_CHOICES {
            return None;
        }
        if known.is_none() {
            self.texts.push(CollectedText { kind, tool, escaped: String::new() });
        }
        self.texts.get_mut(position)
    }

    fn find(&self, kind: PieceKind, tool: u32) -> Option<&str> {
        let found = self.texts.iter().find(|text| text.kind == kind && text.tool == tool)?;
        Some(&found.escaped)
    }

    /// `None` when the choice did not finish.
    fn write(&self, dialect: Dialect, body: &mut String) -> Option<()> {
        let Self { index, finish_reason, .. } = self;
        let finish_reason = finish_reason.as_deref()?;
        let said = match dialect {
            Dialect::Completions => {
                format!(r#""text":"{}""#, self.find(PieceKind::Content, 0).unwrap_or_default())
            }
            _ => format!(r#""message":{}"#, self.message()),
        };
        body.push_str(&format!(
            r#"{{"index":{index},{said},"logprobs":null,"finish_reason":{finish_reason}}}"#
        ));
        Some(())
    }

    fn message(&self) -> String {
        let calls = self.tool_calls();
        let content = self.find(PieceKind::Content, 0);
        // A stream of tool calls begins with empty content where the whole answer has null.
        let content = content.filter(|content| calls.is_empty() || !content.is_empty());
        let content = content.map_or("null".to_owned(), |content| format!("\"{content}\""));
        let refusal = self.find(PieceKind::Refusal, 0).filter(|refusal| !refusal.is_empty());
        let refusal = refusal.map_or("null".to_owned(), |refusal| format!("\"{refusal}\""));
        let mut message = format!(r#"{{"role":"assistant","content":{content},"refusal":{refusal}"#);
        let thoughts =
            [("reasoning_content", PieceKind::ReasoningContent), ("reasoning", PieceKind::Reasoning)];
        for (name, kind) in thoughts {
            if let Some(text) = self.find(kind, 0) {
                message.push_str(&format!(r#","{name}":"{text}""#));
            }
        }
        if !calls.is_empty() {
            message.push_str(&format!(r#","tool_calls":[{}]"#, calls.join(",")));
        }
        if let Some(name) = self.find(PieceKind::LegacyCallName, 0) {
            let arguments = self.find(PieceKind::LegacyCallArguments, 0).unwrap_or_default();
            message.push_str(&format!(r#","function_call":{{"name":"{name}","arguments":"{arguments}"}}"#));
        }
        message.push('}');
        message
    }

    fn tool_calls(&self) -> Vec<String> {
        let pieces = self.texts.iter().filter(|text| text.kind.is_of_tool());
        let mut tools: Vec<u32> = pieces.map(|text| text.tool).collect();
        tools.sort_unstable();
        tools.dedup();
        tools.into_iter().map(|tool| self.tool_call(tool)).collect()
    }

    fn tool_call(&self, tool: u32) -> String {
        let text = |kind| self.find(kind, tool).unwrap_or_default();
        let id = text(PieceKind::ToolId);
        if let Some(name) = self.find(PieceKind::CustomName, tool) {
            let input = text(PieceKind::CustomInput);
            return format!(
                r#"{{"id":"{id}","type":"custom","custom":{{"name":"{name}","input":"{input}"}}}}"#
            );
        }
        let kind = self.find(PieceKind::ToolType, tool).unwrap_or("function");
        let (name, arguments) = (text(PieceKind::FunctionName), text(PieceKind::FunctionArguments));
        format!(r#"{{"id":"{id}","type":"{kind}","function":{{"name":"{name}","arguments":"{arguments}"}}}}"#)
    }
}

/// The text of a span, if it still fits.
fn take(room_bytes: &mut usize, data: &[u8], span: Span) -> Option<String> {
    *room_bytes = room_bytes.checked_sub(span.range().len())?;
    Some(span.of(data).to_owned())
}
