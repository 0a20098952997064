//! YAML text to a tree that knows its lines.
//!
//! What it is not: aware of what the keys mean. Its invariant: reading is bounded. The text is at most [`MAX_BYTES`] long,
//! the tree at most 64 levels deep, and aliases may not multiply it (the "billion laughs" attack): the parser's budgets on
//! nodes and on replayed alias events end such a file with an error.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, Options, Spanned};

use crate::problem::Problem;

/// The largest configuration that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How many parser events aliases may repeat in all; a configuration needs a few dozen.
const MAX_REPLAYED_EVENTS: usize = 20_000;

/// A value and the line on which it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// The line, from 1; `None` for what no file holds.
    pub line: Option<u64>,
    /// The value.
    pub value: Value,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; infinities and not-a-number are refused by the parser.
    Number(Number),
    /// A text.
    Text {
        /// The text itself.
        text: String,
        /// Whether a variable stands in it; then it may be a number in disguise, and may be secret.
        interpolated: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub key: String,
    /// The line of the key.
    pub line: Option<u64>,
    /// What it holds.
    pub node: Node,
}

impl Node {
    /// An empty mapping.
    pub(crate) fn empty() -> Self {
        Self { line: None, value: Value::Map(Vec::new()) }
    }

    /// What people call this sort of value.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(number) if number.is_f64() => "a number with a fraction",
            Value::Number(_) => "a number",
            Value::Text { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one YAML document. An empty one is an empty mapping.
///
/// # Errors
/// The first place where the text is not YAML, is too large, or repeats a key; without a quotation of the text, which may
/// hold secrets.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_BYTES {
        let message = format!("a configuration has at most {MAX_BYTES} bytes; this one has {}", text.len());
        return Err(Problem { path: String::new(), line: None, message });
    }
    let mut options = Options::default();
    options.with_snippet = false;
    options.strict_booleans = true;
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.alias_limits.max_total_replayed_events = MAX_REPLAYED_EVENTS;
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(Node { value: Value::Null, .. }) => Ok(Node::empty()),
        Ok(node) => Ok(node),
        Err(error) => Err(refusal(&error)),
    }
}

fn refusal(error: &serde_saphyr::Error) -> Problem {
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    let column = error.location().map_or(0, |location| location.column());
    let text = error.without_snippet().to_string();
    let reason = text.lines().next().unwrap_or("it cannot be read");
    let message = match line {
        Some(line) => format!("this is not valid YAML (line {line}, column {column}): {reason}"),
        None => format!("this is not valid YAML: {reason}"),
    };
    Problem { path: String::new(), line, message }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: line_of(spanned.referenced), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

fn line_of(location: serde_saphyr::Location) -> Option<u64> {
    Some(location.line()).filter(|line| *line > 0)
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text { text, interpolated: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element::<Node>()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let node = access.next_value::<Node>()?;
            entries.push(Entry { line: line_of(key.referenced), key: key.value, node });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, parse};

    #[test]
    fn lines_are_those_of_the_file() {
        let node = parse("a: 1\nb:\n  - x\n  - y: 2\n").expect("valid YAML");
        let Value::Map(entries) = &node.value else { panic!("a mapping") };
        assert_eq!(entries[0].line, Some(1));
        assert_eq!(entries[1].line, Some(2));
        let Value::List(items) = &entries[1].node.value else { panic!("a list") };
        assert_eq!((items[0].line, items[1].line), (Some(3), Some(4)));
    }

    #[test]
    fn off_and_on_are_words() {
        let node = parse("a: off").expect("valid YAML");
        let Value::Map(entries) = &node.value else { panic!("a mapping") };
        assert_eq!(entries[0].node.value, Value::Text { text: "off".into(), interpolated: false });
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let merged = parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n").expect("valid YAML");
        let Value::Map(entries) = &merged.value else { panic!("a mapping") };
        let Value::Map(merged) = &entries[1].node.value else { panic!("a mapping") };
        let value = |key: &str| merged.iter().find(|entry| entry.key == key).map(|entry| &entry.node.value);
        assert_eq!((merged.len(), value("x")), (2, Some(&Value::Number(1.into()))));
        assert_eq!(value("y"), Some(&Value::Number(3.into())));
    }

    #[test]
    fn an_alias_bomb_ends_with_an_error() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let previous = format!("*a{}", level - 1);
            let row = vec![previous; 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{row}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }

    #[test]
    fn deep_nesting_ends_with_an_error() {
        let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn an_error_names_its_line_and_quotes_nothing() {
        let problem = parse("api_key: sk-secret\nb: [1\nc: \"").expect_err("not YAML");
        assert!(problem.line.is_some(), "{problem:?}");
        assert!(!problem.message.contains("sk-secret"), "{problem:?}");
        assert!(parse("a: 1\na: 2\n").expect_err("a repeated key").message.contains("a"));
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        assert_eq!(parse("# nothing\n").expect("valid").value, Value::Map(Vec::new()));
    }
}
