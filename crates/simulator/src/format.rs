//! A composition in the formats of the API: whole answers, and SSE frames with their times.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::api::{
    self, ChatChoice, ChatDelta, ChatMessage, DONE, Delta, Envelope, FunctionCall, TextChoice, ToolCall,
    Usage,
};
use crate::compose::{Composition, Content};
use crate::plan::Chunk;
use crate::text;

/// What every part of one answer repeats.
#[derive(Debug)]
pub(crate) struct Meta<'a> {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: &'a str,
}

impl Meta<'_> {
    fn envelope<C>(&self, object: &'static str, choices: Vec<C>, usage: Option<Usage>) -> Envelope<'_, C> {
        let (id, created, model) = (self.id.as_str(), self.created, self.model);
        Envelope { id, object, created, model, choices, system_fingerprint: None, usage }
    }

    fn call_id(&self) -> String {
        format!("call_{}", self.id.chars().rev().take(24).collect::<String>())
    }
}

/// When tokens come.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Time to the first.
    pub(crate) first: Duration,
    /// Time from each to the next.
    pub(crate) interval: Duration,
}

impl Pace {
    /// When the last of `tokens` has come.
    pub(crate) fn due(&self, tokens: u32) -> Duration {
        self.first + self.interval.saturating_mul(tokens.saturating_sub(1))
    }
}

/// A whole chat answer.
pub(crate) fn chat(meta: &Meta<'_>, made: &Composition, choices: u32) -> Vec<u8> {
    let call_id = meta.call_id();
    let choice = |index| {
        let (content, tool_calls) = match &made.content {
            Content::Text(pieces) => (Some(pieces.concat()), Vec::new()),
            Content::Call(call) => {
                let function = FunctionCall { name: Some(&call.name), arguments: &call.arguments };
                (None, vec![ToolCall { index: None, id: Some(&call_id), kind: Some("function"), function }])
            }
        };
        let reasoning_content = (!made.reasoning.is_empty()).then(|| made.reasoning.concat());
        ChatChoice {
            index,
            message: ChatMessage { role: "assistant", content, refusal: None, tool_calls, reasoning_content },
            logprobs: None,
            finish_reason: made.finish_reason,
            stop_reason: made.stop_reason.as_deref(),
        }
    };
    let choices = (0..choices).map(choice).collect();
    api::json(&meta.envelope("chat.completion", choices, Some(made.usage.clone())))
}

/// A whole legacy completion.
pub(crate) fn text(meta: &Meta<'_>, made: &Composition, choices: u32) -> Vec<u8> {
    let text = match &made.content {
        Content::Text(pieces) => pieces.concat(),
        Content::Call(_) => String::new(),
    };
    let choice = |index| TextChoice {
        index,
        text: &text,
        logprobs: None,
        finish_reason: Some(made.finish_reason),
        stop_reason: made.stop_reason.as_deref(),
    };
    let choices = (0..choices).map(choice).collect();
    api::json(&meta.envelope("text_completion", choices, Some(made.usage.clone())))
}

/// The frames of a chat answer: the role, reasoning, text or tool call, finish reason, usage if asked, `[DONE]`.
pub(crate) fn chat_stream(
    meta: &Meta<'_>,
    made: &Composition,
    choices: u32,
    pace: &Pace,
    usage: Option<&Usage>,
) -> VecDeque<Chunk> {
    let call_id = meta.call_id();
    let mut frames = Frames::new(meta, "chat.completion.chunk", choices, pace);
    frames.chat(&Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, None, None);
    for piece in &made.reasoning {
        frames.chat(&Delta { reasoning_content: Some(piece), ..Delta::default() }, None, None);
        frames.token += 1;
    }
    match &made.content {
        Content::Text(pieces) => {
            for piece in pieces {
                frames.chat(&Delta { content: Some(piece), ..Delta::default() }, None, None);
                frames.token += 1;
            }
        }
        Content::Call(call) => {
            let function = FunctionCall { name: Some(&call.name), arguments: "" };
            frames.chat(&call_delta(Some(&call_id), Some("function"), function), None, None);
            for arguments in text::pieces(&call.arguments) {
                frames.chat(&call_delta(None, None, FunctionCall { name: None, arguments }), None, None);
                frames.token += 1;
            }
        }
    }
    frames.token = frames.token.saturating_sub(1);
    let last = Delta { content: Some(""), ..Delta::default() };
    frames.chat(&last, Some(made.finish_reason), made.stop_reason.as_deref());
    frames.done(usage)
}

fn call_delta<'a>(id: Option<&'a str>, kind: Option<&'static str>, function: FunctionCall<'a>) -> Delta<'a> {
    Delta { tool_calls: vec![ToolCall { index: Some(0), id, kind, function }], ..Delta::default() }
}

/// The frames of a legacy completion.
pub(crate) fn text_stream(
    meta: &Meta<'_>,
    made: &Composition,
    choices: u32,
    pace: &Pace,
    usage: Option<&Usage>,
) -> VecDeque<Chunk> {
    let mut frames = Frames::new(meta, "text_completion", choices, pace);
    if let Content::Text(pieces) = &made.content {
        for piece in pieces {
            frames.text(piece, None, None);
            frames.token += 1;
        }
    }
    frames.token = frames.token.saturating_sub(1);
    frames.text("", Some(made.finish_reason), made.stop_reason.as_deref());
    frames.done(usage)
}

/// Frames under construction; each is due with the token that is being written.
struct Frames<'a> {
    meta: &'a Meta<'a>,
    object: &'static str,
    choices: u32,
    pace: &'a Pace,
    token: u32,
    chunks: VecDeque<Chunk>,
}

impl<'a> Frames<'a> {
    fn new(meta: &'a Meta<'a>, object: &'static str, choices: u32, pace: &'a Pace) -> Self {
        Self { meta, object, choices, pace, token: 0, chunks: VecDeque::new() }
    }

    /// The same delta for every choice.
    fn chat(&mut self, delta: &Delta<'_>, finish_reason: Option<&'static str>, stop_reason: Option<&str>) {
        for index in 0..self.choices {
            let choice = ChatDelta { index, delta, logprobs: None, finish_reason, stop_reason };
            self.push(&self.meta.envelope(self.object, vec![choice], None));
        }
    }

    /// The same text for every choice.
    fn text(&mut self, text: &str, finish_reason: Option<&'static str>, stop_reason: Option<&str>) {
        for index in 0..self.choices {
            let choice = TextChoice { index, text, logprobs: None, finish_reason, stop_reason };
            self.push(&self.meta.envelope(self.object, vec![choice], None));
        }
    }

    fn push<T: Serialize>(&mut self, value: &T) {
        self.frame(api::frame(value).into());
    }

    fn frame(&mut self, bytes: Bytes) {
        let due = self.pace.due(self.token.saturating_add(1));
        self.chunks.push_back(Chunk { due, bytes });
    }

    /// Usage, where it was asked for, and the end.
    fn done(mut self, usage: Option<&Usage>) -> VecDeque<Chunk> {
        if let Some(usage) = usage {
            let none: Vec<ChatDelta<'_>> = Vec::new();
            self.push(&self.meta.envelope(self.object, none, Some(usage.clone())));
        }
        self.frame(Bytes::from_static(DONE));
        self.chunks
    }
}
