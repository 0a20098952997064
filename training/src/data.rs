//! Rows of the data sets: JSON lines with a `text` and whatever else the set has.

use serde::Deserialize;
use std::error::Error;
use std::path::Path;

/// One line of a set; fields that a set does not have are empty.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) label: String,
    #[serde(default)]
    pub(crate) subject: String,
    #[serde(default)]
    pub(crate) variant: String,
    /// The question with its lettered options.
    #[serde(default)]
    pub(crate) prompt: String,
}

/// Reads one set.
///
/// # Errors
/// When the file cannot be read or a line is not such a row; the message names file and line.
pub(crate) fn read(folder: &Path, file: &str) -> Result<Vec<Line>, Box<dyn Error>> {
    let path = folder.join(file);
    let content = std::fs::read_to_string(&path).map_err(|error| {
        format!("cannot read {}: {error}; --data names the folder of the sets", path.display())
    })?;
    let mut lines = Vec::new();
    for (number, line) in content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row = serde_json::from_str(line)
            .map_err(|error| format!("{} line {}: {error}", path.display(), number + 1))?;
        lines.push(row);
    }
    Ok(lines)
}

/// At most `count` rows, chosen evenly by the generator.
pub(crate) fn sample<T>(mut rows: Vec<T>, count: usize, random: &mut fastrand::Rng) -> Vec<T> {
    random.shuffle(&mut rows);
    rows.truncate(count);
    rows
}
