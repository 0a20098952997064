//! What the measurements of the whole process share: programs beside them, load, collectors, figures over rounds.

pub(crate) mod bars;
pub(crate) mod collector;
pub(crate) mod configuration;
pub(crate) mod load;
pub(crate) mod paced;
pub(crate) mod process;
pub(crate) mod slice;
pub(crate) mod statistics;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What went wrong, as a sentence.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The router's program: the one given, else it is built beside this one.
pub(crate) fn router_program(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let release = release_folder()?;
    if let Some(program) = given {
        return Ok(program.to_owned());
    }
    say("building the router");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--release", "--package", "semantic-router"]).status()?;
    let program = release.join("semantic-router");
    if !status.success() || !program.is_file() {
        return Err("the router could not be built; give its program with --router".into());
    }
    Ok(program)
}

/// Where results go: the folder given, else one of this name beside this program. It is there afterwards.
pub(crate) fn results_folder(given: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => release_folder()?.join(name),
    };
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Progress, on stderr.
pub(crate) fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "benches: {what}");
}

/// The folder of this program: `…/release`.
fn release_folder() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or("this program has no folder")?;
    if cfg!(debug_assertions) {
        return Err("this is a debug build, whose figures mean nothing; run it with --release".into());
    }
    Ok(folder.to_owned())
}
