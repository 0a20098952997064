//! The jailbreak model (to come).
use std::error::Error;
use std::path::Path;
pub(crate) fn train(_: &Path, _: u64, _: &Path) -> Result<(), Box<dyn Error>> {
    Ok(())
}
