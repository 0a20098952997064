//! Long harmless texts: what people paste into a prompt is code, configuration, logs and prose, and the data sets have none.
//!
//! The project's own files stand for them, compilations of harmless rows, and texts made of the lines of a template file, which have the
//! kinds and the languages that this project has no files in. Files that quote an attack are left out.

use crate::examples::Blocks;
use crate::templates::Templates;
use inference::jailbreak::JailbreakDetector;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Endings of files that are read.
const ENDINGS: [&str; 9] = ["rs", "md", "yaml", "yml", "toml", "lock", "py", "mjs", "json"];

/// Folders that are not read: what is made, what is not ours, and what holds attacks on purpose.
const LEFT_OUT: [&str; 6] = ["target", ".git", "node_modules", "fixtures", "templates", "recordings"];

/// A longer file is cut: training looks at every window of every text, many times.
const MOST_BYTES: usize = 8_000;

/// At most so many files are trained on, evenly over all.
const MOST_FILES: usize = 150;

/// A shorter one is no long text.
const LEAST_WORDS: usize = 120;

/// Compilations per fit, and the most rows in one.
const COMPILATIONS: usize = 80;
const MOST_ROWS: usize = 24;

/// The most lines of a written text.
const MOST_LINES: usize = 70;

/// Texts per fit that repeat a few words.
const REPETITIONS: usize = 400;

/// Folders that are never trained on: false alarms are counted on their files, here and by the inference crate's tests, which
/// have the same list.
const HELD_OUT: [&str; 7] =
    ["crates/cache", "crates/telemetry", "crates/upstream", "deploy", "examples", "tests", "website"];

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Trained,
    HeldOut,
}

/// The project's own files, in the order of their paths.
///
/// # Errors
/// When a folder or file cannot be read.
pub(super) fn files() -> Result<Vec<(String, Part)>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = Vec::new();
    collect(&root, &mut paths)?;
    paths.sort();
    let is_held_out = |path: &PathBuf| HELD_OUT.iter().any(|folder| path.starts_with(root.join(folder)));
    let (held_out, trained): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(is_held_out);
    let step = trained.len().div_ceil(MOST_FILES).max(1);
    let detector = JailbreakDetector::built_in();
    let mut texts = Vec::new();
    let trained = trained.into_iter().step_by(step).map(|path| (path, Part::Trained));
    for (path, part) in trained.chain(held_out.into_iter().map(|path| (path, Part::HeldOut))) {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let end = (0..=MOST_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let text = &text[..end];
        let long = text.split_whitespace().take(LEAST_WORDS).count() == LEAST_WORDS;
        if long && detector.detect(text).patterns.is_empty() {
            texts.push((text.to_owned(), part));
        }
    }
    Ok(texts)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !LEFT_OUT.contains(&name) {
                collect(&path, paths)?;
            }
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ENDINGS.contains(&ending) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Kinds of text in the template file, and how many are written of each.
const KINDS: [(&str, usize); 11] = [
    ("licence", 40),
    ("manual", 80),
    ("code", 80),
    ("log", 30),
    ("table", 40),
    ("markup", 60),
    ("configuration", 50),
    ("letter", 60),
    ("changes", 40),
    ("other languages", 120),
    ("german", 80),
];

/// Texts made of the lines of the template file.
pub(super) fn written(templates: &Templates<'_>, seed: u64) -> Vec<Blocks> {
    let mut random = fastrand::Rng::with_seed(seed ^ 0x77_17);
    let mut texts = Vec::new();
    for (kind, count) in KINDS {
        for _ in 0..count {
            let lines = random.usize(4..=MOST_LINES);
            texts.push(Blocks::of(&templates.prompts(kind, lines, &mut random).join("\n")));
        }
    }
    texts
}

/// Texts of several harmless rows each, and texts that repeat a few words of harmless rows or single words of attacks.
pub(super) fn compilations(rows: &[&str], attacks: &[&str], seed: u64) -> Vec<Blocks> {
    if rows.is_empty() || attacks.is_empty() {
        return Vec::new();
    }
    let mut random = fastrand::Rng::with_seed(seed ^ 0x10_96);
    let mut compile = |_| {
        let count = random.usize(4..=MOST_ROWS);
        let picked: Vec<&str> = (0..count).map(|_| rows[random.usize(..rows.len())]).collect();
        Blocks::of(&picked.join("\n"))
    };
    let mut texts: Vec<Blocks> = (0..COMPILATIONS).map(&mut compile).collect();
    // Logs and lists say the same few words again and again. Words that attacks use are no attack by themselves.
    texts.extend((0..REPETITIONS).map(|number| {
        let words = if number % 2 == 0 {
            following_words(rows[random.usize(..rows.len())], random.usize(1..=3), &mut random)
        } else {
            (0..random.usize(1..=3))
                .flat_map(|_| following_words(attacks[random.usize(..attacks.len())], 1, &mut random))
                .collect()
        };
        Blocks::of(&format!("{} ", words.join(" ")).repeat(random.usize(8..=100)))
    }));
    texts
}

/// So many words of a text from a random one on, fewer at its end.
fn following_words<'a>(text: &'a str, count: usize, random: &mut fastrand::Rng) -> Vec<&'a str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let first = random.usize(..words.len().max(1));
    words.into_iter().skip(first).take(count).collect()
}
