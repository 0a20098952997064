//! `--set key=value`: one value above the file.
//!
//! What it is not: a second configuration language. The key is the dotted path that error messages print
//! (`models[0].endpoints[0].address`), the value is YAML. Its invariant: an override that cannot be placed is a problem;
//! none is ignored.

use crate::interpolate::join;
use crate::report::Report;
use crate::yaml::{self, Entry, Node, Value};

/// The most places that an index may add at the end of a list.
const MAX_INDEX: usize = 10_000;

/// Puts `assignment`, as in `cache.enabled=false`, into `root`. Mappings on the way are made; a list grows by one place
/// at most.
pub(crate) fn apply(root: &mut Node, assignment: &str, report: &mut Report) {
    let Some((path, text)) = assignment.split_once('=') else {
        return report.refuse("", "--set takes key=value, as in `--set cache.enabled=false`");
    };
    let path = path.trim();
    let parsed = steps(path);
    let Some(steps) = parsed.filter(|steps| !steps.is_empty()) else {
        let message = format!("--set {path:?} is not a path; write it as in `models[0].name`");
        return report.refuse("", message);
    };
    let value = match scalar_or_yaml(text) {
        Ok(value) => value,
        Err(message) => return report.refuse(path, format!("--set: {message}")),
    };
    if let Err(message) = place(root, &steps, String::new(), Node { line: None, value }) {
        report.refuse(path, format!("--set: {message}"));
    }
}

enum Step {
    Key(String),
    Index(usize),
}

/// `models[0].name` as key, index, key. `None` where it is not such a path.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, mut indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key.to_owned()));
        while !indices.is_empty() {
            let (index, rest) = indices.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok().filter(|index| *index < MAX_INDEX)?));
            indices = rest;
        }
    }
    (steps.len() <= 64).then_some(steps)
}

fn scalar_or_yaml(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    // A document of one key, so that a bare scalar is read by the same rules as in the file.
    match yaml::parse(&format!("value: {text}")) {
        Ok(Node { value: Value::Map(entries), .. }) if entries.len() == 1 => {
            Ok(entries.into_iter().next().map_or(Value::Null, |entry| forget_lines(entry.node).value))
        }
        _ => Err("the value is not valid YAML; put text with `: ` or `#` into quotes".to_owned()),
    }
}

/// Lines of an override are not lines of the file.
fn forget_lines(mut node: Node) -> Node {
    node.line = None;
    node.value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(forget_lines).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|entry| Entry { line: None, node: forget_lines(entry.node), ..entry })
                .collect(),
        ),
        other => other,
    };
    node
}

fn place(node: &mut Node, steps: &[Step], at: String, new: Node) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *node = new;
        return Ok(());
    };
    match step {
        Step::Key(key) => {
            if node.value == Value::Null {
                node.value = Value::Map(Vec::new());
            }
            let kind = node.kind();
            let Value::Map(entries) = &mut node.value else {
                return Err(format!("{at} is {kind}, not a mapping"));
            };
            let index = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                entries.push(Entry {
                    key: key.clone(),
                    line: None,
                    node: Node { line: None, value: Value::Null },
                });
                entries.len() - 1
            });
            place(&mut entries[index].node, rest, join(&at, key), new)
        }
        Step::Index(index) => {
            if node.value == Value::Null {
                node.value = Value::List(Vec::new());
            }
            let kind = node.kind();
            let Value::List(items) = &mut node.value else {
                return Err(format!("{at} is {kind}, not a list"));
            };
            if *index == items.len() {
                items.push(Node { line: None, value: Value::Null });
            }
            let length = items.len();
            let Some(item) = items.get_mut(*index) else {
                return Err(format!("{at} has {length} entries, so its next index is {length}"));
            };
            place(item, rest, format!("{at}[{index}]"), new)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::apply;
    use crate::report::Report;
    use crate::yaml::parse;

    fn set(yaml: &str, assignment: &str) -> Result<super::Node, String> {
        let mut node = parse(yaml).expect("valid YAML");
        let mut report = Report::default();
        apply(&mut node, assignment, &mut report);
        match report.finish().0.pop() {
            Some(problem) => Err(problem.to_string()),
            None => Ok(super::forget_lines(node)),
        }
    }

    fn tree(yaml: &str) -> Result<super::Node, String> {
        Ok(super::forget_lines(parse(yaml).expect("valid YAML")))
    }

    #[test]
    fn values_are_yaml_and_paths_are_made() {
        assert_eq!(set("", "cache.enabled=false"), tree("cache: {enabled: false}"));
        assert_eq!(set("a: [1, 2]", "a[1]=3"), tree("a: [1, 3]"));
        assert_eq!(set("a: [1]", "a[1].b=[x, y]"), tree("a: [1, {b: [x, y]}]"));
        assert_eq!(set("a: 1", "a=http://x:80"), tree("a: http://x:80"));
    }

    #[test]
    fn what_cannot_be_placed_is_a_problem() {
        assert!(set("a: 1", "a.b=2").expect_err("a scalar").contains("a is a number, not a mapping"));
        assert!(set("a: []", "a[3]=2").expect_err("a gap").contains("next index is 0"));
        assert!(set("", "novalue").is_err());
        assert!(set("", "a[=1").is_err());
        assert!(set("", ".a=1").is_err());
    }
}
