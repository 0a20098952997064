//! Every configuration that the repository shows is one that the program takes.

use std::path::{Path, PathBuf};

use tests::process::run;
use tests::{bounded, repository};

/// Folders whose YAML files are samples, and whose pages may show some.
const FOLDERS: [&str; 4] = ["config", "deploy", "examples", "website/docs"];

/// Values for variables that a sample takes from its user.
fn variable(name: &str) -> String {
    if name.ends_with("SHA256") { "0".repeat(64) } else { "set-by-the-test".to_owned() }
}

#[test]
fn every_yaml_is_valid() {
    bounded(async {
        let samples = samples();
        assert!(samples.len() >= 4, "only {} samples were found", samples.len());
        let folder = tempfile::tempdir().expect("a folder");
        let mut wrong = Vec::new();
        let asked = regex::Regex::new(r"\$\{([A-Z0-9_]+)").expect("a pattern");
        for (name, yaml) in &samples {
            let file = folder.path().join("sample.yaml");
            std::fs::write(&file, yaml).expect("a file");
            let variables: Vec<(String, String)> =
                asked.captures_iter(yaml).map(|found| (found[1].to_owned(), variable(&found[1]))).collect();
            // Those with a default keep it, since that is what most readers will run.
            let without_default = variables.iter().filter(|(name, _)| yaml.contains(&format!("${{{name}}}")));
            let variables: Vec<(&str, &str)> =
                without_default.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let ended = run(&["validate", "--config", file.to_str().expect("a path")], &variables).await;
            if ended.code != Some(0) {
                wrong.push(format!("{name}:\n{}", ended.stderr));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Every configuration of the router, by the place where it stands.
fn samples() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> =
        FOLDERS.iter().flat_map(|folder| below(&repository().join(folder))).collect();
    files.extend(below_only(repository()));
    let mut samples = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a sample can be read");
        let name = file.strip_prefix(repository()).unwrap_or(&file).display().to_string();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => {
                let within = scalars(&text).into_iter();
                samples.extend(within.map(|(line, block)| (format!("{name}, line {line}"), block)));
                samples.push((name, text));
            }
            Some("md" | "mdx") => {
                let blocks = blocks(&text).into_iter();
                samples.extend(blocks.map(|(line, block)| (format!("{name}, line {line}"), block)));
            }
            _ => {}
        }
    }
    samples.retain(|(_, yaml)| is_ours(yaml));
    samples
}

/// Whether a YAML is a configuration of the router rather than of something beside it.
fn is_ours(yaml: &str) -> bool {
    const KEYS: [&str; 12] = [
        "listen",
        "access",
        "models",
        "default_model",
        "groups",
        "reasoning_families",
        "signals",
        "decisions",
        "upstream",
        "cache",
        "observability",
        "routing",
    ];
    yaml.lines().filter_map(|line| line.split_once(':')).any(|(key, _)| KEYS.contains(&key))
}

/// The fenced blocks of YAML in a page, with their lines.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        let bare = line.trim_start();
        match &mut open {
            None if bare.starts_with("```yaml") || bare.starts_with("```yml") => {
                open = Some((number, line.len() - bare.len(), String::new()));
            }
            None => {}
            Some(_) if bare.starts_with("```") => {
                found.extend(open.take().map(|(number, _, block)| (number, block)));
            }
            Some((_, indent, block)) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
        }
    }
    found
}

/// Texts within a YAML (`key: |` and what is indented under it), as a ConfigMap or a compose file holds a configuration.
fn scalars(yaml: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = yaml.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    for (number, opening) in lines.iter().enumerate().filter(|(_, line)| line.trim_end().ends_with(": |")) {
        let inside = |line: &&&str| line.trim().is_empty() || depth(line) > depth(opening);
        let block: Vec<&str> = lines[number + 1..].iter().take_while(inside).copied().collect();
        let indent = block.iter().find(|line| !line.trim().is_empty()).map_or(0, |line| depth(line));
        let text: Vec<&str> = block.iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
        found.push((number + 1, text.join("\n") + "\n"));
    }
    found
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// The pages at the top of the repository.
fn below_only(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the repository can be listed");
    let pages = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut pages: Vec<PathBuf> =
        pages.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.sort();
    pages
}
