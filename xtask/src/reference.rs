//! The configuration reference: config/schema.json as a page for people.
//!
//! Not a validator: the settings crate writes the schema from its own types, and this only rewrites it as tables.
//! Invariant: every setting of the schema has one row per place where it can stand, in the schema's order; what may be
//! one or a list of the same has one.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::ChoreError;

/// The page, relative to the top of the repository.
#[cfg(test)]
const PAGE: &str = "website/docs/reference/configuration.md";

const SCHEMA: &str = "config/schema.json";

const HEAD: &str = "\
# Configuration reference

Every setting that the router knows, from `config/schema.json`, which editors complete from too. Written by
`cargo run -p xtask -- print-reference > website/docs/reference/configuration.md`; a test fails when it is not current.
[config/reference.yaml](../../../config/reference.yaml) shows all of them in use, `semantic-router validate` checks a file.

How to read a path: `models[]` is each entry of a list, `groups.*` each entry of a mapping whose keys are yours. In every text
`${NAME}` and `${NAME:-default}` stand for environment variables, and `--set key=value` goes before the file. A setting marked
*not available in this version* is accepted and does nothing yet, or is refused with a sentence; `validate` says which.
";

/// The page as the schema has it now.
///
/// # Errors
/// When the schema cannot be read.
pub(crate) fn page(root: &Path) -> Result<String, ChoreError> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(root.join(SCHEMA))?)?;
    let sections = schema["properties"].as_object().ok_or("the schema has no properties")?;
    let mut page = HEAD.to_owned();
    for (key, setting) in sections {
        let mut table = Table { definitions: &schema["$defs"], rows: String::new(), open: Vec::new() };
        table.setting(key, setting, Presence::Optional);
        write!(page, "\n## `{key}`\n\n{}\n\n", text(setting))?;
        page.push_str("| setting | takes | default | meaning |\n|---|---|---|---|\n");
        page.push_str(&table.rows);
    }
    Ok(page)
}

#[derive(Clone, Copy)]
enum Presence {
    Required,
    Optional,
}

/// The rows of one section.
struct Table<'a> {
    definitions: &'a Value,
    rows: String,
    /// Mappings that are being written: one within itself is not written again.
    open: Vec<&'a Value>,
}

impl<'a> Table<'a> {
    /// Writes a setting and everything below it.
    fn setting(&mut self, path: &str, setting: &'a Value, presence: Presence) {
        let shapes = self.shapes(setting);
        let takes: Vec<String> = shapes.iter().filter_map(|shape| word(shape)).collect();
        let default = match (presence, setting.get("default")) {
            (Presence::Required, _) => "required".to_owned(),
            (Presence::Optional, Some(value)) if !is_empty(value) => format!("`{}`", plain(value)),
            (Presence::Optional, _) => String::new(),
        };
        let mut meaning = text(setting);
        for shape in &shapes {
            if let Some(word) = shape.get("const") {
                // Words without an explanation are listed among what the setting takes.
                let explained = text(shape);
                if !explained.is_empty() {
                    let _ = write!(meaning, "<br>`{}`: {explained}", plain(word));
                }
            }
        }
        let takes = takes.join(", ");
        let _ = writeln!(self.rows, "| `{path}` | {takes} | {default} | {meaning} |");
        self.below(path, &shapes);
    }

    /// The settings within a mapping, a list or a map of a setting.
    fn below(&mut self, path: &str, shapes: &[&'a Value]) {
        for shape in shapes {
            if let Some(properties) = shape.get("properties").and_then(Value::as_object) {
                self.mapping(path, shape, properties);
            }
            if let Some(items) = shape.get("items").filter(|items| !self.is_among(items, shapes)) {
                self.entries(&format!("{path}[]"), items);
            }
            if let Some(values) = shape.get("additionalProperties").filter(|values| values.is_object()) {
                self.entries(&format!("{path}.*"), values);
            }
        }
    }

    /// Whether an entry is what stands beside the list anyway, as in "one destination or a list".
    fn is_among(&self, entry: &'a Value, shapes: &[&'a Value]) -> bool {
        self.shapes(entry).iter().any(|one| shapes.iter().any(|shape| std::ptr::eq(*one, *shape)))
    }

    /// What each entry of a list or a map holds; entries that are plain values need no row.
    fn entries(&mut self, path: &str, entry: &'a Value) {
        let shapes = self.shapes(entry);
        self.below(path, &shapes);
    }

    fn mapping(&mut self, path: &str, shape: &'a Value, properties: &'a Map<String, Value>) {
        if self.open.iter().any(|open| std::ptr::eq(*open, shape)) {
            return;
        }
        self.open.push(shape);
        let required = shape.get("required").and_then(Value::as_array);
        for (key, setting) in properties {
            let is_required = required.is_some_and(|list| list.iter().any(|name| name == key));
            let presence = if is_required { Presence::Required } else { Presence::Optional };
            self.setting(&format!("{path}.{key}"), setting, presence);
        }
        self.open.pop();
    }

    /// The forms that a setting takes: references followed, alternatives side by side, `null` left out.
    fn shapes(&self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(name) =
            schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next())
        {
            return self.definitions.get(name).map(|target| self.shapes(target)).unwrap_or_default();
        }
        let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        match alternatives {
            Some(list) => list.iter().flat_map(|one| self.shapes(one)).collect(),
            None if schema.get("type").is_some_and(|kind| kind == "null") => Vec::new(),
            None => vec![schema],
        }
    }
}

/// A form in a word or two.
fn word(shape: &Value) -> Option<String> {
    if let Some(word) = shape.get("const") {
        return Some(format!("`{}`", plain(word)));
    }
    if let Some(words) = shape.get("enum").and_then(Value::as_array) {
        return Some(words.iter().map(|word| format!("`{}`", plain(word))).collect::<Vec<_>>().join(", "));
    }
    let kind = match &shape["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null")?,
        _ => return None,
    };
    Some(match kind {
        "string" => "text".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "integer" => format!("whole number{}", range(shape)),
        "number" => format!("number{}", range(shape)),
        "array" => "list".to_owned(),
        _ => "mapping".to_owned(),
    })
}

fn range(shape: &Value) -> String {
    let bound = |key: &str| shape.get(key).filter(|bound| !bound.is_null()).map(plain);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", from {least}"),
        (None, Some(most)) => format!(", to {most}"),
        (None, None) => String::new(),
    }
}

/// A value as it is written in the file.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
        }
        other => other.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// The description, fit for a cell of a table.
fn text(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::workspace_root;

    #[test]
    fn the_page_is_current() {
        let root = workspace_root();
        let written = fs::read_to_string(root.join(PAGE)).unwrap();
        let now = page(&root).unwrap();
        assert!(written == now, "{PAGE} is not current: cargo run -p xtask -- print-reference > {PAGE}");
    }

    #[test]
    fn settings_of_the_mission_have_a_row_each() {
        let page = page(&workspace_root()).unwrap();
        for path in [
            "observability.tracing.enabled",
            "observability.tracing.exporter.endpoint",
            "observability.tracing.sampling.rate",
            "models[].endpoints[].address",
        ] {
            assert_eq!(page.matches(&format!("| `{path}` |")).count(), 1, "{path}");
        }
    }
}
