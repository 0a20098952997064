//! `validate`: every mistake of a configuration at once.

use settings::render;

use super::{Failure, load, say};
use crate::cli::Configuration;
use crate::compose::policy;

pub(crate) fn run(configuration: &Configuration) -> Result<(), Failure> {
    let loaded = load(configuration)?;
    // What only building can find out: patterns that are too large together.
    policy::build(&loaded.settings, &loaded.version)
        .map_err(|error| Failure::Configuration(format!("{}: {error}", loaded.origin)))?;
    if !loaded.warnings.is_empty() {
        say(&format!("{}: to know", loaded.origin));
        say(&render(&loaded.warnings));
    }
    let settings = &loaded.settings;
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    say(&format!(
        "{}: valid, version {} ({}, {}, {})",
        loaded.origin,
        loaded.version,
        counted(settings.models.len(), "model"),
        counted(settings.signals.len(), "signal"),
        counted(settings.decisions.len(), "decision"),
    ));
    Ok(())
}
