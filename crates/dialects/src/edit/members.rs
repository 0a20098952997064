//! Setting and removing members of the top-level object and of objects in it.

use std::borrow::Cow;

use serde_json::Value;

use super::{EditError, Edits};
use crate::json::Splices;
use crate::json::{self, Kind, Scanner, Span, SyntaxError};
use crate::request::{Member, ParsedRequest};

/// What shall become of one object: its members to set, in the order to write them.
#[derive(Debug, Default)]
pub(super) struct Patch {
    members: Vec<(String, Change)>,
}

#[derive(Debug)]
enum Change {
    Set(Value),
    Within(Patch),
}

impl Patch {
    /// The edits that are about members, as one patch of the top-level object.
    pub(super) fn of(edits: &Edits) -> Result<Self, EditError> {
        let mut patch = Self::default();
        if let Some(model) = &edits.model {
            patch.set(&["model".to_owned()], Value::from(model.as_str()))?;
        }
        if edits.stream_options_include_usage {
            patch.set(&["stream_options".to_owned(), "include_usage".to_owned()], Value::Bool(true))?;
        }
        for (path, value) in &edits.members {
            patch.set(path, value.clone())?;
        }
        Ok(patch)
    }

    fn set(&mut self, path: &[String], value: Value) -> Result<(), EditError> {
        let (key, rest) = path.split_first().ok_or(EditError::EmptyPath)?;
        let known = self.members.iter().position(|(known, _)| known == key);
        if rest.is_empty() {
            if let Some(index) = known {
                self.members.remove(index);
            }
            self.members.push((key.clone(), Change::Set(value)));
            return Ok(());
        }
        let index = known.unwrap_or_else(|| {
            self.members.push((key.clone(), Change::Within(Self::default())));
            self.members.len() - 1
        });
        match self.members.get_mut(index) {
            Some((_, Change::Within(inner))) => inner.set(rest, value),
            // The whole member is set already; the path leads into that value.
            Some((_, Change::Set(whole))) => {
                set_in(whole, rest, value);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Change {
    /// The value to write where there is none yet.
    fn value(&self) -> Value {
        match self {
            Self::Set(value) => value.clone(),
            Self::Within(patch) => {
                let members = patch.members.iter();
                Value::Object(members.map(|(key, change)| (key.clone(), change.value())).collect())
            }
        }
    }
}

fn set_in(whole: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *whole = value;
        return;
    };
    if !whole.is_object() {
        *whole = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(members) = whole {
        set_in(members.entry(key.clone()).or_insert(Value::Null), rest, value);
    }
}

/// One member as it stands, by the bytes of its key and of its value.
struct Standing<'a> {
    name: Cow<'a, str>,
    key: Span,
    value: Span,
}

/// Adds the splices for `removed` top-level members, and then for `patch`: a member that is in both is written anew.
pub(super) fn apply(request: &ParsedRequest, patch: &Patch, removed: &[String], splices: &mut Splices) {
    let body = request.body();
    let all = request.raw_members().iter();
    let standing = |member: &Member| Standing {
        name: member.key.decoded(body),
        key: member.key.span,
        value: member.value,
    };
    let mut members: Vec<Standing<'_>> = all.map(standing).collect();
    if !removed.is_empty() {
        remove(&members, removed, splices);
        members.retain(|member| !removed.iter().any(|name| *name == member.name));
    }
    change(body, request.root(), &members, patch, splices);
}

/// Removes members with the comma that each no longer needs.
fn remove(members: &[Standing<'_>], removed: &[String], splices: &mut Splices) {
    let goes = |member: &Standing<'_>| removed.iter().any(|name| *name == member.name);
    let mut kept_end = None;
    let mut rest = members;
    while let Some((first, after)) = rest.split_first() {
        if !goes(first) {
            kept_end = Some(first.value.end);
            rest = after;
            continue;
        }
        let run = rest.iter().take_while(|member| goes(member)).count();
        let (going, after) = rest.split_at(run);
        let last_end = going.last().map_or(first.value.end, |last| last.value.end);
        let gone = match (after.first(), kept_end) {
            (Some(next), _) => Span { start: first.key.start, end: next.key.start },
            (None, Some(kept_end)) => Span { start: kept_end, end: last_end },
            (None, None) => Span { start: first.key.start, end: last_end },
        };
        splices.replace(gone, String::new());
        rest = after;
    }
}

/// Sets the members of one object. A key that stands several times is set each time, so that every backend
/// reads the same value, whichever of them it takes.
fn change(body: &[u8], object: Span, members: &[Standing<'_>], patch: &Patch, splices: &mut Splices) {
    let mut end = members.last().map(|last| last.value.end);
    for (key, change) in &patch.members {
        let mut stands = false;
        for member in members.iter().filter(|member| member.name == key.as_str()) {
            stands = true;
            change_value(body, member.value, change, splices);
        }
        if stands {
            continue;
        }
        let comma = if end.is_some() { "," } else { "" };
        let at = *end.get_or_insert(object.start + 1);
        splices.insert(at, format!("{comma}{}:{}", json::encode(key), change.value()));
    }
}

fn change_value(body: &[u8], value: Span, change: &Change, splices: &mut Splices) {
    if let Change::Within(patch) = change
        && let Ok(members) = standing(body, value)
    {
        return self::change(body, value, &members, patch, splices);
    }
    let written = change.value().to_string();
    if value.of(body) != written {
        splices.replace(value, written);
    }
}

/// The members of an object; an error for any other value.
fn standing(body: &[u8], object: Span) -> Result<Vec<Standing<'_>>, SyntaxError> {
    let mut members = Vec::new();
    let mut scanner = Scanner::at(body, object);
    if scanner.peek()? != Kind::Object {
        return Err(scanner.error("expected an object"));
    }
    scanner.object(|scanner, key| {
        members.push(Standing { name: key.decoded(body), key: key.span, value: scanner.skip()? });
        Ok::<_, SyntaxError>(())
    })?;
    Ok(members)
}
