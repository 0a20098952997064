//! docs/mission.md against the repository: what it names is there.
//!
//! Not a check that a requirement is met; the tests named are. Invariant: no row points at a file or a test that is gone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::metadata::workspace_root;

const PAGE: &str = "docs/mission.md";

/// Folders whose paths are written from the top of the repository.
const FOLDERS: [&str; 8] =
    ["config/", "crates/", "deploy/", "docs/", "examples/", "tests/", "website/", "xtask/"];

#[test]
fn every_file_and_test_that_the_mission_page_names_is_there() {
    let root = workspace_root();
    let page = fs::read_to_string(root.join(PAGE)).unwrap();
    let mut sources = Vec::new();
    for folder in ["crates", "tests", "xtask"] {
        read_all(&root.join(folder), &mut sources);
    }
    let (mut missing, mut named) = (Vec::new(), 0);
    for word in page.split('`').skip(1).step_by(2).flat_map(expanded) {
        if FOLDERS.iter().any(|folder| word.starts_with(folder)) && !word.contains(['*', ' ']) {
            named += 1;
            if !root.join(&word).exists() {
                missing.push(word);
            }
        } else if let Some((file, test)) = word.rsplit_once("::") {
            named += 1;
            let (file, head) = (file.trim_end_matches(".rs"), format!("fn {test}("));
            if !sources.iter().any(|(path, text)| is_called(path, file) && text.contains(&head)) {
                missing.push(word);
            }
        }
    }
    assert!(missing.is_empty(), "{PAGE} names what is not there: {missing:#?}");
    assert!(named > 100, "only {named} files and tests were found");
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn expanded(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let Some((names, after)) = rest.split_once('}') else { return vec![word.to_owned()] };
    names.split(',').map(|name| format!("{before}{name}{after}")).collect()
}

/// Whether a source file is the module of this name.
fn is_called(path: &Path, module: &str) -> bool {
    path.with_extension("").ends_with(module) || path.ends_with(format!("{module}/mod.rs"))
}

/// Every Rust file below a folder, with its text.
fn read_all(folder: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, sources);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
}
