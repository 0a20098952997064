//! What stands beside a model: one JSON file each, and a README.md made of them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// A data set and what it was used for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) from: String,
    pub(crate) licence: String,
    pub(crate) used_as: String,
    pub(crate) rows: usize,
}

/// One figure with what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Score {
    pub(crate) what: String,
    pub(crate) value: f64,
    /// Rows that it was measured on.
    pub(crate) rows: usize,
    /// What it should reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<f64>,
}

impl Score {
    pub(crate) fn new(what: &str, value: f64, rows: usize) -> Self {
        Self { what: what.to_owned(), value, rows, goal: None }
    }

    /// The mean of other splits' scores, with the lowest and the highest.
    pub(crate) fn mean(what: &str, values: &[f64], rows: usize) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let value = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let count = values.len();
        let what = format!(
            "{what}, mean of {count} other splits, each with a model of its own by the same recipe (from {low:.3} to {high:.3})"
        );
        Self::new(&what, value, rows)
    }

    pub(crate) fn with_goal(self, goal: f64) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// What the score says of its goal.
    fn verdict(&self) -> String {
        self.goal.map_or_else(String::new, |goal| {
            format!(
                "; the goal of {goal:.2} is {}",
                if self.value >= goal { "reached" } else { "**missed**" }
            )
        })
    }
}

/// Everything about one model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) model: String,
    pub(crate) command: String,
    pub(crate) seed: u64,
    pub(crate) bytes: usize,
    pub(crate) method: String,
    /// What a reader of the figures must know.
    pub(crate) notes: Vec<String>,
    pub(crate) sources: Vec<Source>,
    pub(crate) splits: BTreeMap<String, usize>,
    pub(crate) scores: Vec<Score>,
    pub(crate) tables: Vec<Table>,
}

/// A table of figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    /// Prints the figures to the terminal.
    pub(crate) fn show(&self) {
        for score in &self.scores {
            eprintln!("  {}: {:.4} ({} rows)", score.what, score.value, score.rows);
        }
        for row in self.tables.iter().flat_map(|table| &table.rows) {
            eprintln!("  {}", row.join(" | "));
        }
    }

    /// Writes `<model>.bin` and `<model>.json` into `folder`.
    pub(crate) fn write(&self, bytes: &[u8], folder: &Path) -> Result<(), Box<dyn Error>> {
        std::fs::write(folder.join(format!("{}.bin", self.model)), bytes)?;
        std::fs::write(
            folder.join(format!("{}.json", self.model)),
            serde_json::to_string_pretty(self)? + "\n",
        )?;
        Ok(())
    }
}

const INTRODUCTION: &str = "# The built-in models\n\n\
Written by the `training` command; do not edit. Each model is the one that the figures were measured on: trained on the train split alone, \
quantised to 8 bits, calibrated on rows that the test split does not have, measured on the test split, through the code that the router runs. \
The data is not part of the project; `--data` names a folder with the files below.\n";

/// Writes README.md from the JSON files that are there.
pub(crate) fn write_readme(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut text = INTRODUCTION.to_owned();
    for model in ["domain", "jailbreak"] {
        let Ok(json) = std::fs::read_to_string(folder.join(format!("{model}.json"))) else { continue };
        render(&serde_json::from_str(&json)?, &mut text)?;
    }
    std::fs::write(folder.join("README.md"), text)?;
    Ok(())
}

fn render(report: &Report, text: &mut String) -> Result<(), std::fmt::Error> {
    writeln!(text, "\n## {}.bin ({} bytes)\n\n{}\n", report.model, report.bytes, report.method)?;
    writeln!(text, "    {}\n", report.command)?;
    let splits: Vec<String> = report.splits.iter().map(|(name, rows)| format!("{name} {rows}")).collect();
    writeln!(text, "Seed {}; rows: {}.\n", report.seed, splits.join(", "))?;
    writeln!(text, "| score | value | rows |\n|---|---|---|")?;
    for score in &report.scores {
        writeln!(text, "| {}{} | {:.3} | {} |", score.what, score.verdict(), score.value, score.rows)?;
    }
    for table in &report.tables {
        writeln!(text, "\n{}. {}\n\n| {} |", table.title, table.note, table.header.join(" | "))?;
        writeln!(text, "|{}", "---|".repeat(table.header.len()))?;
        for row in &table.rows {
            writeln!(text, "| {} |", row.join(" | "))?;
        }
    }
    if !report.notes.is_empty() {
        writeln!(text)?;
    }
    for note in &report.notes {
        writeln!(text, "- {note}")?;
    }
    writeln!(text, "\n| data | from | licence | used as | rows |\n|---|---|---|---|---|")?;
    for source in &report.sources {
        let Source { file, from, licence, used_as, rows } = source;
        writeln!(text, "| {file} | {from} | {licence} | {used_as} | {rows} |")?;
    }
    Ok(())
}
