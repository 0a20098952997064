//! A value that fits a JSON schema, for tool arguments and structured answers. Deterministic.

use serde_json::{Map, Value, json};

/// Deeper parts of a schema get `null`, so that a schema that refers to itself by nesting stays bounded.
const DEPTH: usize = 8;

/// An example of the schema's type; `text` is what a free string gets. `enum`, `const`, `default`, `required`,
/// `properties`, `items`, `minItems`, `minimum` and the first of `anyOf` / `oneOf` are understood, references are not.
pub(crate) fn example(schema: &Value, text: &str) -> Value {
    at_depth(schema, text, DEPTH)
}

fn at_depth(schema: &Value, text: &str, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    for key in ["const", "default"] {
        if let Some(value) = schema.get(key) {
            return value.clone();
        }
    }
    for key in ["enum", "examples"] {
        if let Some(value) = schema.get(key).and_then(|values| values.get(0)) {
            return value.clone();
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(|values| values.get(0)) {
            return at_depth(first, text, depth - 1);
        }
    }
    let minimum = schema.get("minimum").cloned();
    match kind(schema) {
        "object" => object(schema, text, depth),
        "array" => array(schema, text, depth),
        "integer" => minimum.unwrap_or(json!(1)),
        "number" => minimum.unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!(text),
    }
}

/// The type, or the first of several; a schema with properties is an object.
fn kind(schema: &Value) -> &str {
    let named = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    named.unwrap_or(if schema.get("properties").is_some() { "object" } else { "string" })
}

/// The required properties, or all where none is required.
fn object(schema: &Value, text: &str, depth: usize) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Value::Object(Map::new());
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let wanted =
        properties.iter().filter(|(name, _)| required.is_empty() || required.contains(&name.as_str()));
    Value::Object(wanted.map(|(name, inner)| (name.clone(), at_depth(inner, text, depth - 1))).collect())
}

fn array(schema: &Value, text: &str, depth: usize) -> Value {
    let length = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(16);
    let item = schema.get("items").map_or(json!(text), |items| at_depth(items, text, depth - 1));
    Value::Array((0..length).map(|_| item.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_properties_get_values_of_their_types() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 3},
                "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
                "left out": {"type": "string"},
            },
            "required": ["city", "unit", "days", "tags"],
        });
        let expected = json!({"city": "Paris", "unit": "celsius", "days": 3, "tags": [true, true]});
        assert_eq!(example(&schema, "Paris"), expected);
        assert_eq!(example(&Value::Null, "x"), json!("x"));
    }
}
