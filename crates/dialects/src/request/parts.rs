//! Readers of single members: each checks the type and says which member is wrong.

use super::RequestError;
use super::facts::{Sampling, Shape};
use crate::json::{Kind, Scanner, Span};

type Read<T> = Result<T, RequestError>;

/// The members that are read in any dialect; each may stand only once.
const KNOWN: &[&str] = &[
    "messages",
    "model",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "user",
    "tools",
    "tool_choice",
    "n",
    "seed",
    "stop",
    "response_format",
    "reasoning_effort",
    "prompt",
    "input",
    "logprobs",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "functions",
    "function_call",
    "modalities",
    "metadata",
    "previous_response_id",
    "suffix",
];

pub(super) fn known_member(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

/// Notices a member that is given twice.
#[derive(Default)]
pub(super) struct Once {
    seen: [Option<&'static str>; 2],
}

impl Once {
    pub(super) fn first(&mut self, name: &'static str, place: impl Fn() -> String) -> Read<()> {
        if self.seen.contains(&Some(name)) {
            return Err(RequestError::invalid(place(), "is given twice"));
        }
        if let Some(free) = self.seen.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(name);
        }
        Ok(())
    }
}

pub(super) fn wrong(place: String, wanted: &str, found: Kind) -> RequestError {
    RequestError::invalid(place, &format!("must be {wanted}, not {}", found.described()))
}

pub(super) fn expect(scanner: &mut Scanner<'_>, wanted: Kind, place: impl Fn() -> String) -> Read<()> {
    let found = scanner.peek()?;
    if found == wanted { Ok(()) } else { Err(wrong(place(), wanted.described(), found)) }
}

pub(super) fn string(scanner: &mut Scanner<'_>, known: &str) -> Read<(Span, Option<Box<str>>)> {
    match scanner.peek()? {
        Kind::Null => Ok((scanner.skip()?, None)),
        Kind::String => {
            let literal = scanner.string()?;
            Ok((literal.span, Some(literal.decoded(scanner.bytes()).into())))
        }
        kind => Err(wrong(known.to_owned(), "a string", kind)),
    }
}

pub(super) fn boolean(scanner: &mut Scanner<'_>, known: &str) -> Read<(Span, Option<bool>)> {
    let kind = scanner.peek()?;
    let value = match kind {
        Kind::Null => None,
        Kind::True => Some(true),
        Kind::False => Some(false),
        kind => return Err(wrong(known.to_owned(), "a boolean", kind)),
    };
    Ok((scanner.skip()?, value))
}

/// A number's text; `None` for null.
fn number<'a>(scanner: &mut Scanner<'a>, known: &str) -> Read<(Span, Option<&'a str>)> {
    let kind = scanner.peek()?;
    if !matches!(kind, Kind::Number | Kind::Null) {
        return Err(wrong(known.to_owned(), "a number", kind));
    }
    let span = scanner.skip()?;
    Ok((span, (kind == Kind::Number).then(|| span.of(scanner.bytes()))))
}

/// `stream_options.include_usage`.
pub(super) fn include_usage(scanner: &mut Scanner<'_>) -> Read<(Span, Option<bool>)> {
    if scanner.peek()? == Kind::Null {
        return Ok((scanner.skip()?, None));
    }
    expect(scanner, Kind::Object, || "stream_options".to_owned())?;
    let mut include_usage = None;
    let span = scanner.object(|scanner, key| {
        if key.decoded(scanner.bytes()) == "include_usage" {
            include_usage = boolean(scanner, "stream_options.include_usage")?.1;
        } else {
            scanner.skip()?;
        }
        Ok::<_, RequestError>(())
    })?;
    Ok((span, include_usage))
}

/// Reads `known` into `sampling`; `None`, with nothing consumed, if it is no such member.
pub(super) fn sampling(
    scanner: &mut Scanner<'_>,
    known: &str,
    sampling: &mut Sampling,
) -> Read<Option<Span>> {
    if known == "stop" {
        return stop(scanner, &mut sampling.stop).map(Some);
    }
    if known == "reasoning_effort" {
        let (span, effort) = string(scanner, known)?;
        sampling.reasoning_effort = effort;
        return Ok(Some(span));
    }
    let real = match known {
        "temperature" => Some(&mut sampling.temperature),
        "top_p" => Some(&mut sampling.top_p),
        "top_k" => Some(&mut sampling.top_k),
        "frequency_penalty" => Some(&mut sampling.frequency_penalty),
        "presence_penalty" => Some(&mut sampling.presence_penalty),
        _ => None,
    };
    if let Some(real) = real {
        let (span, text) = number(scanner, known)?;
        *real = text.and_then(|text| text.parse().ok());
        return Ok(Some(span));
    }
    if !matches!(known, "max_tokens" | "max_completion_tokens" | "n" | "seed") {
        return Ok(None);
    }
    let (span, text) = number(scanner, known)?;
    let count = text.and_then(whole);
    match known {
        "n" => sampling.n = count,
        "seed" => sampling.seed = text.and_then(|text| text.parse().ok()),
        "max_completion_tokens" => sampling.max_tokens = count.or(sampling.max_tokens),
        _ => sampling.max_tokens = sampling.max_tokens.or(count),
    }
    Ok(Some(span))
}

/// A whole number, however it is spelt: `2`, `2.0`, `2e0`. Negative ones are none.
fn whole(text: &str) -> Option<u64> {
    let real = || text.parse::<f64>().ok().filter(|real| *real >= 0.0 && real.fract() == 0.0);
    // The conversion saturates, which keeps "very many" very many.
    text.parse().ok().or_else(|| real().map(|real| real as u64))
}

fn stop(scanner: &mut Scanner<'_>, stop: &mut Vec<String>) -> Read<Span> {
    match scanner.peek()? {
        Kind::String => {
            let literal = scanner.string()?;
            stop.push(literal.decoded(scanner.bytes()).into_owned());
            Ok(literal.span)
        }
        Kind::Array => scanner.array(|scanner, _| {
            if scanner.peek()? == Kind::String {
                stop.push(scanner.string()?.decoded(scanner.bytes()).into_owned());
            } else {
                scanner.skip()?;
            }
            Ok(())
        }),
        Kind::Null => Ok(scanner.skip()?),
        kind => Err(wrong("stop".to_owned(), "a string or an array", kind)),
    }
}

/// Reads what only its presence matters of.
pub(super) fn shape(scanner: &mut Scanner<'_>, known: &str, shape: &mut Shape) -> Read<Span> {
    let kind = scanner.peek()?;
    let span = scanner.skip()?;
    let raw = span.of(scanner.bytes());
    match known {
        "tools" | "functions" => {
            if !matches!(kind, Kind::Array | Kind::Null) {
                return Err(wrong(known.to_owned(), "an array", kind));
            }
            shape.has_tools |= raw.bytes().any(|byte| byte == b'{');
        }
        "tool_choice" | "function_call" => shape.has_tool_choice |= kind != Kind::Null,
        "response_format" => {
            if !matches!(kind, Kind::Object | Kind::Null) {
                return Err(wrong(known.to_owned(), "an object", kind));
            }
            shape.has_response_format = kind == Kind::Object && response_type(raw).as_deref() != Some("text");
        }
        // A boolean in chats, a count in the legacy form.
        "logprobs" => shape.has_logprobs = matches!(kind, Kind::True | Kind::Number),
        "modalities" => shape.has_audio |= raw.contains("\"audio\""),
        "metadata" if !matches!(kind, Kind::Object | Kind::Null) => {
            return Err(wrong(known.to_owned(), "an object", kind));
        }
        _ => {}
    }
    Ok(span)
}

fn response_type(raw: &str) -> Option<String> {
    string_map(raw).into_iter().find(|(key, _)| key == "type").map(|(_, value)| value)
}

/// Notes what a part's type (or, where the type is left out, a key of it) says; true for an image.
pub(super) fn note_media(word: &str, shape: &mut Shape) -> bool {
    let image = word.contains("image") || word.contains("video");
    shape.has_images |= image;
    shape.has_audio |= word.contains("audio");
    shape.has_files |= matches!(word, "file" | "input_file");
    image
}

/// The string members of an object that was scanned before.
pub(super) fn string_map(raw: &str) -> Vec<(String, String)> {
    let bytes = raw.as_bytes();
    let mut entries = Vec::new();
    let mut scanner = Scanner::at(bytes, Span::default());
    // Only null or an object gets here, and both were scanned before: an error means null.
    let _ = scanner.object(|scanner, key| {
        if scanner.peek()? == Kind::String {
            let value = scanner.string()?.decoded(bytes).into_owned();
            entries.push((key.decoded(bytes).into_owned(), value));
        } else {
            scanner.skip()?;
        }
        Ok::<_, crate::json::SyntaxError>(())
    });
    entries
}
