//! The tree against the schema: unknown keys, wrong types, words and numbers out of range, all of them at once.
//!
//! What it is not: a general validator. It knows the part of JSON Schema that our own raw types produce. Its invariant: the
//! JSON that it returns fits the raw types, because whatever did not fit was reported and left out.

use serde_json::{Map, Value as Json};

use crate::interpolate::join;
use crate::report::Report;
use crate::suggest::did_you_mean;
use crate::yaml::{Entry, Node, Value};

/// Walks `node` against `schema` and returns the part of it that fits.
pub(crate) fn fit(node: &Node, schema: &Json, report: &mut Report) -> Json {
    let mut walk = Walk { root: schema, report };
    walk.node(node, schema, "").unwrap_or_else(|| Json::Object(Map::new()))
}

struct Walk<'a> {
    root: &'a Json,
    report: &'a mut Report,
}

impl<'a> Walk<'a> {
    /// The part of `node` that fits; `None` where nothing does or nothing was written.
    fn node(&mut self, node: &Node, schema: &'a Json, path: &str) -> Option<Json> {
        self.report.place(path, node.line);
        if node.value == Value::Null {
            return None;
        }
        let Some(schema) = self.branch(node, schema) else {
            let expected = self.expectation(schema);
            let hint = hint(node, &expected);
            self.report.refuse(path, format!("expected {expected}, found {}{hint}", node.kind()));
            return None;
        };
        match &node.value {
            Value::Null => None,
            Value::Map(entries) => Some(self.mapping(entries, schema, path)),
            Value::List(items) => Some(self.list(items, schema, path)),
            Value::Bool(value) => Some(Json::Bool(*value)),
            Value::Number(number) => self.number(number, schema, path),
            Value::Text { text, interpolated } => self.text(text, *interpolated, schema, path),
        }
    }

    fn mapping(&mut self, entries: &[Entry], schema: &'a Json, path: &str) -> Json {
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties").filter(|others| **others != Json::Bool(false));
        // A mapping of free form has neither: it is taken as it is.
        let free = properties.is_none() && others.is_none();
        let mut fitting = Map::new();
        for entry in entries {
            let at = join(path, &entry.key);
            let known = properties.and_then(|properties| properties.get(&entry.key));
            let Some(schema) = known.or(others).or(free.then_some(&Json::Bool(true))) else {
                self.report.place(&at, entry.line);
                let known =
                    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
                let message = format!("unknown key{}", did_you_mean(&entry.key, known));
                self.report.refuse(&at, message);
                continue;
            };
            if let Some(value) = self.node(&entry.node, schema, &at) {
                fitting.insert(entry.key.clone(), value);
            }
            self.report.place(&at, entry.line);
        }
        self.required(schema, &fitting, path);
        Json::Object(fitting)
    }

    fn required(&mut self, schema: &'a Json, fitting: &Map<String, Json>, path: &str) {
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for key in required.filter_map(Json::as_str).filter(|key| !fitting.contains_key(*key)) {
            let meaning = schema["properties"][key]["description"].as_str().unwrap_or_default();
            let meaning = meaning.split(['.', ';', '\n']).next().unwrap_or_default();
            let at = join(path, key);
            let message =
                if meaning.is_empty() { "missing".to_owned() } else { format!("missing: {meaning}") };
            self.report.refuse(&at, message);
        }
    }

    fn list(&mut self, items: &[Node], schema: &'a Json, path: &str) -> Json {
        let any = &Json::Bool(true);
        let schema = schema.get("items").unwrap_or(any);
        // A mapping that does not fit leaves an empty one behind, so that the places of the others stay what they are.
        let stand_in = self.branch(&Node::empty(), schema).is_some();
        let mut fitting = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("{path}[{index}]");
            let value = self.node(item, schema, &at);
            if item.value == Value::Null {
                self.report.refuse(&at, format!("expected {}, found nothing", self.expectation(schema)));
            }
            match value {
                Some(value) => fitting.push(value),
                None if stand_in => fitting.push(Json::Object(Map::new())),
                None => {}
            }
        }
        Json::Array(fitting)
    }

    fn number(&mut self, number: &serde_json::Number, schema: &Json, path: &str) -> Option<Json> {
        let value = number.as_f64()?;
        let (low, high) = bounds(schema);
        let below = low.is_some_and(|low| value < low);
        let above = high.is_some_and(|high| value > high);
        if below || above {
            let range = match (low, high) {
                (Some(low), Some(high)) => format!("from {low} to {high}"),
                (Some(low), None) => format!("of at least {low}"),
                (_, high) => format!("of at most {}", high.unwrap_or_default()),
            };
            self.report.refuse(path, format!("expected a number {range}, found {number}"));
            return None;
        }
        Some(Json::Number(number.clone()))
    }

    fn text(&mut self, text: &str, interpolated: bool, schema: &Json, path: &str) -> Option<Json> {
        if schema == &Json::Bool(true) {
            return Some(Json::String(text.to_owned()));
        }
        if let Some(words) = words(schema) {
            if words.contains(&text) {
                return Some(Json::String(text.to_owned()));
            }
            let written = if interpolated { String::new() } else { format!(" {text:?}") };
            let suggestion = if interpolated {
                format!("; known: {}", words.join(", "))
            } else {
                did_you_mean(text, words)
            };
            self.report.refuse(path, format!("unknown word{written}{suggestion}"));
            return None;
        }
        if accepts_type(schema, "string") {
            return Some(Json::String(text.to_owned()));
        }
        // What a variable holds is text; it is read as the type that the key wants.
        match read_as(text, schema) {
            Some(Json::Number(number)) => self.number(&number, schema, path),
            other => other,
        }
    }

    /// The schema that speaks about this sort of value: `schema` itself, what it refers to, or one of its alternatives.
    fn branch(&self, node: &Node, schema: &'a Json) -> Option<&'a Json> {
        let schema = self.resolve(schema);
        if words(schema).is_none()
            && let Some(alternatives) = alternatives(schema)
        {
            let text_first =
                !matches!(&node.value, Value::Text { interpolated: true, text } if is_switch(text));
            let find = |wanted: &dyn Fn(&Json) -> bool| {
                alternatives
                    .iter()
                    .filter(|branch| wanted(self.resolve(branch)))
                    .find_map(|branch| self.branch(node, branch))
            };
            return if text_first {
                find(&|_| true)
            } else {
                find(&|b| accepts_type(b, "boolean")).or_else(|| find(&|_| true))
            };
        }
        accepts(schema, node).then_some(schema)
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        match schema.get("$ref").and_then(Json::as_str) {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap_or_default();
                self.resolve(&self.root["$defs"][name])
            }
            None => schema,
        }
    }

    /// What would have fitted, in words.
    fn expectation(&self, schema: &Json) -> String {
        let schema = match schema.get("$ref").and_then(Json::as_str) {
            Some(reference) => &self.root["$defs"][reference.rsplit('/').next().unwrap_or_default()],
            None => schema,
        };
        if let Some(words) = words(schema) {
            return format!("one of {}", words.join(", "));
        }
        if let Some(alternatives) = alternatives(schema) {
            let mut all: Vec<String> = alternatives.iter().map(|branch| self.expectation(branch)).collect();
            all.retain(|one| one != "nothing");
            all.dedup();
            return all.join(" or ");
        }
        types(schema).into_iter().filter(|name| *name != "null").map(spoken).collect::<Vec<_>>().join(" or ")
    }
}

fn alternatives(schema: &Json) -> Option<&Vec<Json>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array)
}

/// The words of an enumeration; `None` where the schema is none.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const") {
        return word.as_str().map(|word| vec![word]);
    }
    if let Some(list) = schema.get("enum").and_then(Json::as_array) {
        return Some(list.iter().filter_map(Json::as_str).collect());
    }
    let parts = alternatives(schema)?;
    let lists: Option<Vec<Vec<&str>>> = parts.iter().map(words).collect();
    lists.map(|lists| lists.concat())
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ if words(schema).is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn accepts_type(schema: &Json, name: &str) -> bool {
    types(schema).contains(&name)
}

fn accepts(schema: &Json, node: &Node) -> bool {
    if schema == &Json::Bool(true) {
        return true;
    }
    match &node.value {
        Value::Null => true,
        Value::Bool(_) => accepts_type(schema, "boolean"),
        Value::Number(number) if number.is_f64() => accepts_type(schema, "number"),
        Value::Number(_) => accepts_type(schema, "number") || accepts_type(schema, "integer"),
        Value::Text { text, interpolated } => {
            accepts_type(schema, "string") || (*interpolated && read_as(text, schema).is_some())
        }
        Value::List(_) => accepts_type(schema, "array"),
        Value::Map(_) => accepts_type(schema, "object"),
    }
}

fn is_switch(text: &str) -> bool {
    matches!(text, "true" | "false")
}

fn read_as(text: &str, schema: &Json) -> Option<Json> {
    let text = text.trim();
    if accepts_type(schema, "boolean") && is_switch(text) {
        return Some(Json::Bool(text == "true"));
    }
    if accepts_type(schema, "integer")
        && let Ok(value) = text.parse::<i64>()
    {
        return Some(Json::from(value));
    }
    let number = text.parse::<f64>().ok().filter(|_| accepts_type(schema, "number"))?;
    serde_json::Number::from_f64(number).map(Json::Number)
}

/// The lowest and the highest number, as the schema or the width of the type says.
fn bounds(schema: &Json) -> (Option<f64>, Option<f64>) {
    let low = schema.get("minimum").and_then(Json::as_f64);
    let high = schema.get("maximum").and_then(Json::as_f64);
    let (type_low, type_high) = match schema.get("format").and_then(Json::as_str) {
        Some("uint8") => (Some(0.0), Some(f64::from(u8::MAX))),
        Some("uint16") => (Some(0.0), Some(f64::from(u16::MAX))),
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("uint64") => (Some(0.0), None),
        _ => (None, None),
    };
    (low.or(type_low), high.or(type_high))
}

fn spoken(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

/// What to do about the usual slips.
fn hint(node: &Node, expected: &str) -> &'static str {
    match &node.value {
        Value::Number(_) | Value::Bool(_) if expected.contains("text") => "; put it into quotes",
        Value::Text { interpolated: true, .. } => " from a variable",
        Value::Text { text, .. } if text.parse::<f64>().is_ok() => "; write it without quotes",
        Value::Map(_) if expected == "a list" => "; begin each entry with `- `",
        _ => "",
    }
}
