//! `${VAR}` and `${VAR:-default}` in scalars.
//!
//! What it is not: a change of the YAML text, so a variable cannot add keys. Its invariant: each text is gone through
//! once; what a variable holds is not looked at again. `$${` stands for `${`.

use crate::environment::Environment;
use crate::report::Report;
use crate::yaml::{Node, Value};

/// Replaces every reference in `node` and under it; a variable that is missing without a default is a problem at its path.
pub(crate) fn interpolate(node: &mut Node, path: &str, environment: &Environment, report: &mut Report) {
    match &mut node.value {
        Value::Text { text, interpolated } if text.contains("${") => {
            match expand(text, environment, report) {
                Ok(expanded) => {
                    *interpolated = true;
                    *text = expanded;
                }
                Err(message) => {
                    report.place(path, node.line);
                    report.refuse(path, message);
                    node.value = Value::Null;
                }
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                interpolate(item, &format!("{path}[{index}]"), environment, report);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                interpolate(&mut entry.node, &join(path, &entry.key), environment, report);
            }
        }
        _ => {}
    }
}

/// `path.key`, or `key` at the top.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn expand(text: &str, environment: &Environment, report: &mut Report) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.push_str(escaped);
            expanded.push_str("${");
            rest = &reference[2..];
            continue;
        }
        expanded.push_str(before);
        let Some(end) = reference.find('}') else {
            return Err("`${` without its `}`; write `$${` for the characters themselves".to_owned());
        };
        expanded.push_str(&lookup(&reference[2..end], environment, report)?);
        rest = &reference[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn lookup(reference: &str, environment: &Environment, report: &mut Report) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let valid = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        // What stands in the braces may be part of a secret, so it is not repeated.
        let message =
            "what stands in `${…}` is not the name of a variable; write `$${` for the characters themselves";
        return Err(message.to_owned());
    }
    match (environment.get(name), default) {
        (Some(""), Some(default)) | (None, Some(default)) => Ok(default.to_owned()),
        (Some(value), _) => {
            report.hide(name, value);
            Ok(value.to_owned())
        }
        (None, None) => Err(format!(
            "the environment variable {name} is not set; set it, or write `${{{name}:-default}}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::environment::Environment;
    use crate::report::Report;

    #[test]
    fn references_defaults_and_escapes() {
        let environment = Environment::from_pairs([("HOST", "vllm-1"), ("EMPTY", ""), ("NESTED", "${HOST}")]);
        let expand = |text: &str| expand(text, &environment, &mut Report::default());
        assert_eq!(expand("http://${HOST}:${PORT:-8000}").as_deref(), Ok("http://vllm-1:8000"));
        assert_eq!(expand("${EMPTY}").as_deref(), Ok(""));
        assert_eq!(expand("${EMPTY:-x}").as_deref(), Ok("x"));
        assert_eq!(expand("${NESTED}").as_deref(), Ok("${HOST}"));
        assert_eq!(expand("$${HOST} $x").as_deref(), Ok("${HOST} $x"));
        assert!(expand("${MISSING}").expect_err("not set").contains("MISSING is not set"));
        assert!(expand("${HOST").is_err());
        assert!(expand("${1A}").is_err());
    }
}
