//! `schema`: the JSON schema of the configuration.

use super::{Failure, say};

pub(crate) fn run() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&settings::schema());
    say(&text.map_err(|error| Failure::Running(error.to_string()))?);
    Ok(())
}
