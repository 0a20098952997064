//! Which of the files named, or in the folders named, the jailbreak detector takes for attacks at the default threshold:
//! `cargo run --release -p inference --example scan -- PATH...`. What is not UTF-8 is passed over.
#![expect(clippy::print_stdout, reason = "a command that shows its findings")]

use inference::jailbreak::{DEFAULT_THRESHOLD, JailbreakDetector};
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for path in std::env::args_os().skip(1) {
        collect(Path::new(&path), &mut files)?;
    }
    files.sort();
    let (mut read, mut taken) = (0, 0);
    for path in files {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        read += 1;
        let finding = JailbreakDetector::built_in().detect(&text);
        if finding.score >= DEFAULT_THRESHOLD {
            taken += 1;
            println!("{:.3} {} {}", finding.score, path.display(), finding.patterns.join(" "));
        }
    }
    println!("{taken} of {read} texts are taken for attacks");
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
