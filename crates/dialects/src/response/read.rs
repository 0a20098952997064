//! The one pass over an answer, or over one chunk of a stream: both have the same members, but for `message`
//! being called `delta` in chunks. Odd types are skipped, not refused: what a backend says passes through.

use super::{AnswerError, AnswerTextKind, Usage};
use crate::json::{Kind, Literal, Scanner, Span, SyntaxError};

type Read<T> = Result<T, SyntaxError>;

/// Where the members of an answer stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) id: Option<Literal>,
    pub(crate) model: Option<Literal>,
    pub(crate) created: Option<u64>,
    pub(crate) system_fingerprint: Option<Literal>,
    /// Whether there is an array `choices`, be it empty.
    pub(crate) has_choices: bool,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<Usage>,
    pub(crate) usage_span: Option<Span>,
    pub(crate) error: Option<Span>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) index: u32,
    pub(crate) finish_reason: Option<Literal>,
    pub(crate) pieces: Vec<Piece>,
    /// Whether it holds something that `pieces` does not carry: log probabilities, sound, annotations.
    pub(crate) has_more: bool,
}

/// One string of a choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: PieceKind,
    /// The tool call that it belongs to, 0 for others.
    pub(crate) tool: u32,
    pub(crate) literal: Literal,
}

/// Which member of a choice a string was; also where a collected stream writes it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    Content,
    Refusal,
    ReasoningContent,
    Reasoning,
    ToolId,
    ToolType,
    FunctionName,
    FunctionArguments,
    CustomName,
    CustomInput,
    LegacyCallName,
    LegacyCallArguments,
}

impl Answer {
    /// Whether it is the extra chunk that `stream_options.include_usage` asks for.
    pub(crate) fn is_usage_chunk(&self) -> bool {
        self.has_choices && self.choices.is_empty() && self.usage.is_some()
    }
}

impl PieceKind {
    /// What it is to people; `None` for names and ids.
    pub(crate) fn text_kind(self) -> Option<AnswerTextKind> {
        match self {
            Self::Content => Some(AnswerTextKind::Content),
            Self::Refusal => Some(AnswerTextKind::Refusal),
            Self::ReasoningContent | Self::Reasoning => Some(AnswerTextKind::Reasoning),
            Self::FunctionArguments | Self::CustomInput | Self::LegacyCallArguments => {
                Some(AnswerTextKind::ToolArguments)
            }
            Self::ToolId | Self::ToolType | Self::FunctionName | Self::CustomName | Self::LegacyCallName => {
                None
            }
        }
    }

    /// Whether it belongs to an entry of `tool_calls`.
    pub(crate) fn is_of_tool(self) -> bool {
        match self {
            Self::ToolId | Self::ToolType | Self::FunctionName | Self::FunctionArguments => true,
            Self::CustomName | Self::CustomInput => true,
            Self::Content | Self::Refusal | Self::ReasoningContent | Self::Reasoning => false,
            Self::LegacyCallName | Self::LegacyCallArguments => false,
        }
    }
}

impl From<SyntaxError> for AnswerError {
    fn from(error: SyntaxError) -> Self {
        Self { message: error.message, offset: error.offset }
    }
}

/// Reads one JSON object as an answer or a chunk.
pub(crate) fn answer(body: &[u8]) -> Result<Answer, AnswerError> {
    let mut scanner = Scanner::from_bytes(body)?;
    if scanner.peek()? != Kind::Object {
        return Err(scanner.error("expected an object").into());
    }
    let mut answer = Answer::default();
    let mut object = None;
    let whole = scanner.object(|scanner, key| match (&*key.decoded(body), scanner.peek()?) {
        ("object", Kind::String) => {
            object = Some(scanner.string()?.decoded(body));
            Ok(())
        }
        (name, _) => member(scanner, name, &mut answer),
    })?;
    scanner.end()?;
    // Older vLLM writes its errors flat: `{"object":"error","message":…}`.
    if object.as_deref() == Some("error") {
        answer.error.get_or_insert(whole);
    }
    Ok(answer)
}

fn member(scanner: &mut Scanner<'_>, name: &str, answer: &mut Answer) -> Read<()> {
    match (name, scanner.peek()?) {
        ("id", Kind::String) => answer.id = Some(scanner.string()?),
        ("model", Kind::String) => answer.model = Some(scanner.string()?),
        ("system_fingerprint", Kind::String) => answer.system_fingerprint = Some(scanner.string()?),
        ("created", Kind::Number) => answer.created = number(scanner)?,
        ("choices", Kind::Array) => {
            answer.has_choices = true;
            scanner.array(|scanner, position| choice(scanner, position, &mut answer.choices))?;
        }
        ("usage", Kind::Object) => {
            let (usage, span) = Usage::read(scanner)?;
            answer.usage = Some(usage);
            answer.usage_span = Some(span);
        }
        ("error", kind) if kind != Kind::Null => answer.error = Some(scanner.skip()?),
        _ => scanner.pass()?,
    }
    Ok(())
}

fn choice(scanner: &mut Scanner<'_>, position: usize, choices: &mut Vec<Choice>) -> Read<()> {
    if scanner.peek()? != Kind::Object {
        return scanner.pass();
    }
    let mut choice = Choice { index: u32::try_from(position).unwrap_or(u32::MAX), ..Choice::default() };
    scanner.object(|scanner, key| {
        match (&*key.decoded(scanner.bytes()), scanner.peek()?) {
            ("index", Kind::Number) => choice.index = index(scanner, choice.index)?,
            ("finish_reason", Kind::String) => choice.finish_reason = Some(scanner.string()?),
            ("text", Kind::String) => push(scanner, PieceKind::Content, 0, &mut choice)?,
            ("message" | "delta", Kind::Object) => message(scanner, &mut choice)?,
            ("logprobs", kind) => {
                choice.has_more |= kind != Kind::Null;
                scanner.pass()?;
            }
            _ => scanner.pass()?,
        }
        Ok::<_, SyntaxError>(())
    })?;
    choices.push(choice);
    Ok(())
}

fn message(scanner: &mut Scanner<'_>, choice: &mut Choice) -> Read<()> {
    scanner.object(|scanner, key| match (&*key.decoded(scanner.bytes()), scanner.peek()?) {
        ("content", Kind::String) => push(scanner, PieceKind::Content, 0, choice),
        ("content", Kind::Array) => content_parts(scanner, choice),
        ("refusal", Kind::String) => push(scanner, PieceKind::Refusal, 0, choice),
        ("reasoning_content", Kind::String) => push(scanner, PieceKind::ReasoningContent, 0, choice),
        ("reasoning", Kind::String) => push(scanner, PieceKind::Reasoning, 0, choice),
        ("tool_calls", Kind::Array) => {
            scanner.array(|scanner, position| tool_call(scanner, position, choice)).map(|_| ())
        }
        ("function_call", Kind::Object) => {
            let kinds = [PieceKind::LegacyCallName, PieceKind::LegacyCallArguments];
            call(scanner, kinds, 0, choice)
        }
        ("audio" | "annotations", Kind::Object | Kind::Array) => {
            let span = scanner.skip()?;
            choice.has_more |= !matches!(span.of(scanner.bytes()), "[]" | "{}");
            Ok(())
        }
        _ => scanner.pass(),
    })?;
    Ok(())
}

/// Content in parts, which some backends send: their texts are read, the rest is beyond `pieces`.
fn content_parts(scanner: &mut Scanner<'_>, choice: &mut Choice) -> Read<()> {
    choice.has_more = true;
    scanner.array(|scanner, _| {
        if scanner.peek()? != Kind::Object {
            return scanner.pass();
        }
        scanner.object(|scanner, key| match (&*key.decoded(scanner.bytes()), scanner.peek()?) {
            ("text", Kind::String) => push(scanner, PieceKind::Content, 0, choice),
            _ => scanner.pass(),
        })?;
        Ok(())
    })?;
    Ok(())
}

fn tool_call(scanner: &mut Scanner<'_>, position: usize, choice: &mut Choice) -> Read<()> {
    if scanner.peek()? != Kind::Object {
        return scanner.pass();
    }
    let mut tool = u32::try_from(position).unwrap_or(u32::MAX);
    let before = choice.pieces.len();
    scanner.object(|scanner, key| match (&*key.decoded(scanner.bytes()), scanner.peek()?) {
        ("index", Kind::Number) => {
            tool = index(scanner, tool)?;
            Ok(())
        }
        ("id", Kind::String) => push(scanner, PieceKind::ToolId, tool, choice),
        ("type", Kind::String) => push(scanner, PieceKind::ToolType, tool, choice),
        ("function", Kind::Object) => {
            call(scanner, [PieceKind::FunctionName, PieceKind::FunctionArguments], tool, choice)
        }
        ("custom", Kind::Object) => {
            call(scanner, [PieceKind::CustomName, PieceKind::CustomInput], tool, choice)
        }
        _ => scanner.pass(),
    })?;
    // `index` may stand after the members that it is about.
    choice.pieces.iter_mut().skip(before).for_each(|piece| piece.tool = tool);
    Ok(())
}

fn call(scanner: &mut Scanner<'_>, kinds: [PieceKind; 2], tool: u32, choice: &mut Choice) -> Read<()> {
    let [name, arguments] = kinds;
    scanner.object(|scanner, key| match (&*key.decoded(scanner.bytes()), scanner.peek()?) {
        ("name", Kind::String) => push(scanner, name, tool, choice),
        ("arguments" | "input", Kind::String) => push(scanner, arguments, tool, choice),
        _ => scanner.pass(),
    })?;
    Ok(())
}

fn push(scanner: &mut Scanner<'_>, kind: PieceKind, tool: u32, choice: &mut Choice) -> Read<()> {
    let literal = scanner.string()?;
    choice.pieces.push(Piece { kind, tool, literal });
    Ok(())
}

fn number(scanner: &mut Scanner<'_>) -> Read<Option<u64>> {
    let span = scanner.skip()?;
    let text = span.of(scanner.bytes());
    // Some backends write `created` with a fraction of a second.
    Ok(text.split('.').next().and_then(|whole| whole.parse().ok()))
}

fn index(scanner: &mut Scanner<'_>, otherwise: u32) -> Read<u32> {
    Ok(number(scanner)?.and_then(|index| u32::try_from(index).ok()).unwrap_or(otherwise))
}
