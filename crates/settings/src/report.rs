//! The list that every step of reading a configuration adds to.
//!
//! What it is not: an error. Nothing stops at the first problem; whoever finds one reports it and goes on with a stand-in.
//! Its invariants: one cause is reported once, and what follows from a value that was already refused is left out; and no
//! message that leaves here holds what a variable in the file stood for.

use std::collections::{BTreeMap, BTreeSet};

use crate::problem::Problem;

/// Problems and warnings found so far, and the lines to name with them.
#[derive(Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    lines: BTreeMap<String, u64>,
    refused: BTreeSet<String>,
    hidden: BTreeMap<String, String>,
}

/// Shorter values are no secrets, and would be found in the middle of words.
const SHORTEST_HIDDEN: usize = 6;

impl Report {
    /// Remembers on which line the value at `path` stands.
    pub(crate) fn place(&mut self, path: &str, line: Option<u64>) {
        if let Some(line) = line {
            self.lines.insert(path.to_owned(), line);
        }
    }

    /// Reports a value that cannot be used at all; later problems at or under `path` are consequences and left out.
    pub(crate) fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.error(path, message);
        self.refused.insert(path.to_owned());
    }

    /// Reports a problem, unless the value was refused before.
    pub(crate) fn error(&mut self, path: &str, message: impl Into<String>) {
        if ancestors(path).any(|ancestor| self.refused.contains(ancestor)) {
            return;
        }
        let problem = self.problem(path, message.into());
        self.problems.push(problem);
    }

    /// Reports something that works but that somebody should know.
    pub(crate) fn warn(&mut self, path: &str, message: impl Into<String>) {
        let problem = self.problem(path, message.into());
        self.warnings.push(problem);
    }

    /// Whether nothing was wrong so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Has `${name}` printed wherever a message would print `value`, which may be secret.
    pub(crate) fn hide(&mut self, name: &str, value: &str) {
        if value.len() >= SHORTEST_HIDDEN {
            self.hidden.insert(value.to_owned(), format!("${{{name}}}"));
            self.hidden.insert(value.escape_debug().to_string(), format!("${{{name}}}"));
        }
    }

    /// Problems and warnings, each in the order of the file, the ones without a line last.
    pub(crate) fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        let mut hidden: Vec<(String, String)> = std::mem::take(&mut self.hidden).into_iter().collect();
        // Longer values first: one may stand in another.
        hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for list in [&mut self.problems, &mut self.warnings] {
            for problem in list.iter_mut() {
                for (value, name) in &hidden {
                    problem.message = problem.message.replace(value, name);
                }
            }
            list.sort_by_key(|problem| problem.line.unwrap_or(u64::MAX));
            list.dedup();
        }
        (self.problems, self.warnings)
    }

    fn problem(&self, path: &str, message: String) -> Problem {
        let line = ancestors(path).find_map(|ancestor| self.lines.get(ancestor).copied());
        Problem { path: path.to_owned(), line, message }
    }
}

/// `path`, then what it stands in, from the inside out: `a.b[0].c`, `a.b[0]`, `a.b`, `a`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors((!path.is_empty()).then_some(path), |path| {
        let cut = path.rfind(['.', '['])?;
        (cut > 0).then(|| &path[..cut])
    })
}

#[cfg(test)]
mod tests {
    use super::{Report, ancestors};

    #[test]
    fn ancestors_go_from_the_inside_out() {
        let all: Vec<&str> = ancestors("a.b[0].c").collect();
        assert_eq!(all, ["a.b[0].c", "a.b[0]", "a.b", "a"]);
        assert_eq!(ancestors("").count(), 0);
    }

    #[test]
    fn consequences_of_a_refused_value_are_left_out() {
        let mut report = Report::default();
        report.place("models", Some(4));
        report.refuse("models[0]", "expected a mapping");
        report.error("models[0].name", "missing");
        report.error("models[1].name", "missing");
        let (problems, _) = report.finish();
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[1].line, Some(4));
    }
}
