//! Chores of this workspace: checks that read the repository and say what breaks a rule of the house.
//!
//! Not a build script and not part of the router: nothing here is shipped. Licences, banned crates and duplicate
//! versions are `cargo deny`'s work (`deny.toml`); this program holds only the rules that no ready-made tool knows.
//!
//! Invariant: a chore only reads. It prints every violation at once, each with its place and its remedy.

mod architecture;
#[cfg(test)]
mod dashboards;
mod data_sets;
mod metadata;
#[cfg(test)]
mod mission;
mod reference;
mod text;

use std::io::{self, Write};
use std::process::ExitCode;

const USAGE: &str = "\
Chores of this workspace; each reads the repository and changes nothing.

Usage: cargo run -p xtask -- CHORE…
       cargo run -p xtask -- print-reference    prints website/docs/reference/configuration.md as config/schema.json has it

  architecture   crates depend on each other, and on frameworks, only as ARCHITECTURE.md allows
  data-sets      the shipped models name only data that may ship, and NOTICE credits what asks for it
  text           no machine's paths, registry hosts or merge markers in the files of the repository

Exit codes: 0 all is well, 1 a rule is broken, 2 the chore could not run.
";

/// What a chore found: one sentence per violation, empty when all is well.
type Violations = Vec<String>;

/// A chore that could not run at all, for instance because `git` is missing.
type ChoreError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let chores: Vec<String> = std::env::args().skip(1).collect();
    match run(&chores, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(io::stderr(), "xtask: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs each chore in turn and reports whether all of them were content.
fn run(chores: &[String], output: &mut impl Write) -> Result<bool, ChoreError> {
    if chores.is_empty() || chores.iter().any(|chore| chore == "--help" || chore == "-h") {
        write!(output, "{USAGE}")?;
        return Ok(!chores.is_empty());
    }
    if chores == ["print-reference"] {
        write!(output, "{}", reference::page(&metadata::workspace_root())?)?;
        return Ok(true);
    }
    let mut content = true;
    for chore in chores {
        let violations = violations_of(chore)?;
        for violation in &violations {
            writeln!(output, "{chore}: {violation}")?;
        }
        writeln!(output, "{chore}: {}", verdict(violations.len()))?;
        content &= violations.is_empty();
    }
    Ok(content)
}

fn violations_of(chore: &str) -> Result<Violations, ChoreError> {
    let root = metadata::workspace_root();
    match chore {
        "architecture" => Ok(architecture::violations(&metadata::Graph::load(&root)?)),
        "data-sets" => data_sets::violations(&root),
        "text" => text::violations(&root),
        unknown => Err(format!("no chore is called \"{unknown}\"; --help lists them").into()),
    }
}

fn verdict(violations: usize) -> String {
    match violations {
        0 => "no violation".to_owned(),
        1 => "1 violation".to_owned(),
        many => format!("{many} violations"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_lists_every_chore_and_is_no_failure() {
        let mut output = Vec::new();
        assert!(run(&["--help".to_owned()], &mut output).unwrap());
        let text = String::from_utf8(output).unwrap();
        for chore in ["architecture", "data-sets", "text"] {
            assert!(text.contains(&format!("\n  {chore} ")), "{chore} is missing from the help");
        }
    }

    #[test]
    fn an_unknown_chore_is_an_error_that_names_it() {
        let error = run(&["dance".to_owned()], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("\"dance\""));
    }
}
