//! What is wrong with a configuration, for the people who wrote it.
//!
//! What it is not: a chain of errors. Its invariant: a message never holds a value that came from an environment variable
//! or from a key that may hold a secret.

use std::fmt;

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as in `decisions[2].route.models[0]`. Empty for the file as a whole.
    pub path: String,
    /// The line in the file, from 1.
    pub line: Option<u64>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Where the configuration came from: a file's path, or a phrase.
    pub origin: String,
    /// The problems.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(formatter, "{}: {count} {noun}", self.origin)?;
        write!(formatter, "\n{}", render(&self.list))
    }
}

impl std::error::Error for Problems {}

/// Problems or warnings as aligned lines: the line in the file, the path, the message.
#[must_use]
pub fn render(list: &[Problem]) -> String {
    let place = |problem: &Problem| problem.line.map_or_else(String::new, |line| format!("line {line}"));
    let places = list.iter().map(|problem| place(problem).len()).max().unwrap_or(0);
    let paths = list.iter().map(|problem| problem.path.chars().count()).max().unwrap_or(0).min(48);
    let lines: Vec<String> = list
        .iter()
        .map(|problem| {
            let line = format!("{:<places$}  {:<paths$}  {}", place(problem), problem.path, problem.message);
            format!("  {}", line.trim())
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Problem, render};

    #[test]
    fn problems_are_aligned() {
        let problem =
            |path: &str, line, message: &str| Problem { path: path.into(), line, message: message.into() };
        let text =
            render(&[problem("models[0].name", Some(3), "missing"), problem("a", Some(12), "unknown key")]);
        assert_eq!(text, "  line 3   models[0].name  missing\n  line 12  a               unknown key");
    }
}
