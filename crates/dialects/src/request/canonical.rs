//! The canonical form of a request: the same for two requests that ask for the same answer.

use std::borrow::Cow;

use super::ParsedRequest;
use crate::json::{Kind, Literal, Scanner, Span, SyntaxError};

/// Top-level members that do not shape an answer: who asks, how it is delivered, how it is kept or billed.
/// The model is left out because the caller's cache key holds the model that was chosen.
const NOT_SHAPING: &[&str] = &[
    "metadata",
    "model",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "user",
];

/// Where in the request a value stands, as far as its normalisation depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Messages,
    Message,
    /// A prompt or a message's content: white space in its strings is normalised.
    Said,
    Part,
    /// Everything else: strings count to the letter (stop sequences, schemas, tool arguments).
    Verbatim,
}

impl ParsedRequest {
    /// Feeds the canonical form to `sink`, in pieces: an injective encoding of the dialect and of every member
    /// that shapes an answer, with keys sorted, nulls of the top level left out, escapes decoded, and white
    /// space in prompts and message contents trimmed and collapsed to single spaces. It is meant to be hashed; it is not JSON.
    pub fn canonical_form(&self, sink: &mut dyn FnMut(&[u8])) {
        sink(self.dialect().operation_name().as_bytes());
        sink(&[0]);
        let mut scanner = Scanner::at(self.body(), self.root());
        // The body was scanned when it was parsed, so that no error can come of it.
        let _ = feed(&mut scanner, Place::Root, sink);
    }
}

fn feed(scanner: &mut Scanner<'_>, place: Place, sink: &mut dyn FnMut(&[u8])) -> Result<(), SyntaxError> {
    match scanner.peek()? {
        Kind::Object => feed_object(scanner, place, sink),
        Kind::Array => {
            sink(b"[");
            let inner = match place {
                Place::Messages => Place::Message,
                Place::Said => Place::Part,
                _ => Place::Verbatim,
            };
            scanner.array(|scanner, _| feed(scanner, inner, sink))?;
            sink(b"]");
            Ok(())
        }
        Kind::String => {
            let literal = scanner.string()?;
            feed_string(scanner.bytes(), literal, place, sink);
            Ok(())
        }
        _ => {
            let span = scanner.skip()?;
            feed_sized(b'v', span.of(scanner.bytes()), sink);
            Ok(())
        }
    }
}

fn feed_object(
    scanner: &mut Scanner<'_>,
    place: Place,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), SyntaxError> {
    let bytes = scanner.bytes();
    let mut members: Vec<(Cow<'_, str>, Span)> = Vec::new();
    scanner.object(|scanner, key| {
        members.push((key.decoded(bytes), scanner.skip()?));
        Ok::<_, SyntaxError>(())
    })?;
    // Stable, so that members of the same name keep their order.
    members.sort_by(|one, other| one.0.cmp(&other.0));
    sink(b"{");
    for (key, value) in members {
        if place == Place::Root && (NOT_SHAPING.contains(&&*key) || value.of(bytes) == "null") {
            continue;
        }
        feed_sized(b'k', &key, sink);
        feed(&mut Scanner::at(bytes, value), inner_place(place, &key), sink)?;
    }
    sink(b"}");
    Ok(())
}

fn inner_place(place: Place, key: &str) -> Place {
    match (place, key) {
        (Place::Root, "messages") => Place::Messages,
        (Place::Root, "prompt" | "input") | (Place::Message, "content") | (Place::Part, "text") => {
            Place::Said
        }
        _ => Place::Verbatim,
    }
}

fn feed_string(bytes: &[u8], literal: Literal, place: Place, sink: &mut dyn FnMut(&[u8])) {
    let text = literal.decoded(bytes);
    match place {
        Place::Said | Place::Part => feed_sized(b't', &collapsed(&text), sink),
        _ => feed_sized(b's', &text, sink),
    }
}

/// The words of a text with single spaces between; borrowed where they stand so already.
fn collapsed(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim();
    // The usual prompt: ASCII, its words one space apart. Anything else is looked at character by character.
    let plain = |byte: &u8| (b' '..=b'~').contains(byte);
    if trimmed.as_bytes().iter().all(plain) && memchr::memmem::find(trimmed.as_bytes(), b"  ").is_none() {
        return trimmed.into();
    }
    let mut words = String::with_capacity(trimmed.len());
    for word in trimmed.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words.into()
}

fn feed_sized(tag: u8, text: &str, sink: &mut dyn FnMut(&[u8])) {
    sink(&[tag]);
    sink(&(text.len() as u64).to_le_bytes());
    sink(text.as_bytes());
}
