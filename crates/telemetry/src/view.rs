//! What a destination sees of a record: its vocabularies, and prompts and answers if it wants them, within the bounds of
//! a span.
//!
//! Bounds hold as in OpenTelemetry's SDKs: what comes after the limit is left out and counted, and texts are cut at a
//! character (<https://opentelemetry.io/docs/specs/otel/common/#attribute-limits>). Resources are not bounded.

use std::borrow::Cow;

use trace::content::Capture;
use trace::semconv::{self, Attribute, Value, Vocabularies};
use trace::{EventKind, Record, Span};

/// What a destination sees of each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Attributes beyond the router's own.
    pub vocabularies: Vocabularies,
    /// Prompts and answers, as far as the record has them.
    pub content: Capture,
    /// Bounds of each span.
    pub limits: Limits,
}

/// Bounds of one span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes.
    pub attributes: u32,
    /// Events.
    pub events: u32,
    /// Links.
    pub links: u32,
    /// Bytes of one text value, of a span's attribute or an event's.
    pub attribute_bytes: u32,
}

impl Default for Limits {
    /// OpenTelemetry's counts, and a length that any collector takes.
    fn default() -> Limits {
        Limits { attributes: 128, events: 128, links: 128, attribute_bytes: 4096 }
    }
}

impl From<Vocabularies> for View {
    fn from(vocabularies: Vocabularies) -> View {
        View { vocabularies, ..View::default() }
    }
}

/// What is left within a limit, and how much is not.
pub(crate) struct Kept<T> {
    pub(crate) kept: T,
    pub(crate) dropped: u32,
}

impl View {
    /// Attributes of the root span.
    pub(crate) fn root(self, record: &Record) -> Kept<Vec<Attribute<'_>>> {
        self.limits.attributes(semconv::root_attributes(record, self.vocabularies))
    }

    /// Attributes of a child.
    pub(crate) fn span<'a>(self, record: &'a Record, span: &'a Span) -> Kept<Vec<Attribute<'a>>> {
        let mut attributes = semconv::span_attributes(record, span, self.vocabularies);
        let limit = size(self.limits.attribute_bytes);
        let content = semconv::content_attributes(record, span, self.vocabularies, self.content, limit);
        attributes.extend(content);
        self.limits.attributes(attributes)
    }

    /// Attributes of an event: never more than two.
    pub(crate) fn event(self, kind: &EventKind) -> Vec<Attribute<'_>> {
        let mut attributes = semconv::event_attributes(kind);
        self.limits.cut(&mut attributes);
        attributes
    }
}

impl Limits {
    /// The first events, as many as there may be; `unrecorded` of them were dropped before.
    pub(crate) fn events<T>(self, events: &[T], unrecorded: u32) -> Kept<&[T]> {
        let Kept { kept, dropped } = first(events, self.events);
        Kept { kept, dropped: dropped.saturating_add(unrecorded) }
    }

    /// The first links, as many as there may be.
    pub(crate) fn links<T>(self, links: &[T]) -> Kept<&[T]> {
        first(links, self.links)
    }

    fn attributes(self, mut attributes: Vec<Attribute<'_>>) -> Kept<Vec<Attribute<'_>>> {
        let dropped = first(&attributes, self.attributes).dropped;
        attributes.truncate(size(self.attributes));
        self.cut(&mut attributes);
        Kept { kept: attributes, dropped }
    }

    fn cut(self, attributes: &mut [Attribute<'_>]) {
        for (_, value) in attributes {
            match value {
                Value::String(text) => cut(text, size(self.attribute_bytes)),
                Value::Strings(texts) => {
                    texts.iter_mut().for_each(|text| cut(text, size(self.attribute_bytes)));
                }
                Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
            }
        }
    }
}

fn first<T>(all: &[T], limit: u32) -> Kept<&[T]> {
    let kept = &all[..all.len().min(size(limit))];
    Kept { kept, dropped: u32::try_from(all.len() - kept.len()).unwrap_or(u32::MAX) }
}

fn cut(text: &mut Cow<'_, str>, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let end = text.floor_char_boundary(limit);
    match text {
        Cow::Borrowed(text) => *text = &text[..end],
        Cow::Owned(text) => text.truncate(end),
    }
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_the_rest_is_left_alone() {
        let limits = Limits { attribute_bytes: 4, ..Limits::default() };
        let mut attributes: Vec<Attribute<'_>> = vec![
            ("a".into(), Value::String("ääää".into())),
            ("b".into(), Value::String("abcäx".to_owned().into())),
            ("c".into(), Value::Strings(vec!["12345".into(), "1".into()])),
            ("d".into(), Value::Int(123_456)),
        ];
        limits.cut(&mut attributes);
        let expected: Vec<Attribute<'_>> = vec![
            ("a".into(), Value::String("ää".into())),
            ("b".into(), Value::String("abc".into())),
            ("c".into(), Value::Strings(vec!["1234".into(), "1".into()])),
            ("d".into(), Value::Int(123_456)),
        ];
        assert_eq!(attributes, expected);
    }

    #[test]
    fn what_is_over_a_limit_is_counted() {
        let limits = Limits { events: 2, links: 0, ..Limits::default() };
        let Kept { kept, dropped } = limits.events(&[1, 2, 3], 7);
        assert_eq!((kept, dropped), (&[1, 2][..], 8));
        let Kept { kept, dropped } = limits.links(&[1]);
        assert_eq!((kept.len(), dropped), (0, 1));
    }
}
