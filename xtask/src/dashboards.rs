//! The dashboards of deploy/grafana against the metrics and spans that the code has.
//!
//! Not a check of PromQL: only of the names in it. Invariant: no panel asks for a metric or a span that nobody writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::metadata::workspace_root;

/// What Prometheus itself makes of a histogram's name.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Prefixes by which a metric of the router is told from a label or a function.
const PREFIXES: [&str; 6] =
    ["gen_ai_client_", "http_request", "llm_", "process_", "semantic_router_", "traces_"];

#[test]
fn dashboards_ask_only_for_what_is_written() {
    let root = workspace_root();
    let metrics = literals(&root.join("crates/telemetry/src/metrics"));
    let spans = literals(&root.join("crates/trace/src"));
    let mut asked = 0;
    for (file, expression) in expressions(&root.join("deploy/grafana/dashboards")) {
        for name in names(&expression) {
            let histogram = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
            let known = metrics.contains(name) || histogram.is_some_and(|base| metrics.contains(base));
            assert!(known, "{}: no metric is called {name}: {expression}", file.display());
            asked += 1;
        }
        for (_, rest) in
            expression.match_indices("span_name=\"").map(|(at, key)| expression.split_at(at + key.len()))
        {
            let span = rest.split('"').next().unwrap_or_default();
            assert!(spans.contains(span), "{}: no span is called {span}", file.display());
        }
    }
    assert!(asked > 20, "only {asked} names were found");
}

/// Every string literal in a folder's Rust files.
fn literals(folder: &Path) -> BTreeSet<String> {
    let texts = files(folder, "rs").into_iter().map(|file| fs::read_to_string(file).unwrap());
    // Between the first and second quote, the third and fourth, and so on; an escaped quote costs at most one line.
    let of_line = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    texts.flat_map(|text| text.lines().flat_map(of_line).collect::<Vec<_>>()).collect()
}

/// Every query to Prometheus, with the file that holds it.
fn expressions(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for file in files(folder, "json") {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let panels = dashboard["panels"].as_array().expect("a dashboard has panels");
        let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
        let texts = targets.filter_map(|target| target["expr"].as_str());
        found.extend(texts.map(|text| (file.clone(), text.to_owned())));
    }
    assert!(!found.is_empty(), "no dashboard was found");
    found
}

/// The words of a query that are names of the router's metrics.
fn names(expression: &str) -> Vec<&str> {
    let outside_labels = expression.split(['{', '}']).step_by(2);
    let words = outside_labels.flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix))).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}
