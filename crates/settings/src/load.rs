//! From a source to [`Loaded`]: read, override, interpolate, fit, resolve.
//!
//! What it is not: a watcher; whoever reloads calls [`load`] again. Its invariant: the settings come back only without a
//! single problem, and loading the same source, overrides and environment twice gives the same.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::check::Settings;
use crate::environment::Environment;
use crate::problem::{Problem, Problems};
use crate::raw;
use crate::report::Report;
use crate::{interpolate, overrides, resolve, shape, yaml};

/// Where a configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A text that is called `name` in messages.
    Text {
        /// What messages call it.
        name: String,
        /// The YAML.
        yaml: String,
    },
    /// No file: defaults, and what the environment says.
    Defaults,
}

/// Where people look for the file when nobody names one.
pub const DEFAULT_PATH: &str = "config/config.yaml";

/// The source by the order that the command line promises: `--config`, `CONFIG_PATH`, `config/config.yaml` where it exists,
/// none.
#[must_use]
pub fn locate(flag: Option<&Path>, environment: &Environment) -> Source {
    if let Some(path) = flag {
        return Source::File(path.to_owned());
    }
    if let Some(path) = environment.filled("CONFIG_PATH") {
        return Source::File(PathBuf::from(path));
    }
    let default = Path::new(DEFAULT_PATH);
    if default.is_file() { Source::File(default.to_owned()) } else { Source::Defaults }
}

/// Checked settings and what is worth saying about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What works, but somebody should know.
    pub warnings: Vec<Problem>,
    /// Where the configuration came from, for messages: a file's path, or a phrase.
    pub origin: String,
    /// Which of file, variable and default won, for settings that a standard variable can give.
    pub origins: Vec<Origin>,
    /// Twelve hexadecimal digits that change with the text or the overrides; `semantic_router.config.version` on spans.
    pub version: String,
    /// Whether the source says nothing at all, as a file that is being written does.
    pub is_blank: bool,
}

/// Where the value of one setting came from. Never the value: it may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The path of the setting.
    pub setting: String,
    /// Who won.
    pub winner: Winner,
}

/// Who gave a setting its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Winner {
    /// The file, or `--set`.
    File,
    /// This environment variable.
    Variable(String),
    /// The built-in default.
    Default,
}

impl fmt::Display for Winner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => formatter.write_str("file"),
            Self::Variable(name) => formatter.write_str(name),
            Self::Default => formatter.write_str("default"),
        }
    }
}

/// Loads settings from `source`, with `overrides` (`key=value`, as of `--set`) above it.
///
/// # Errors
/// Everything that is wrong, at once, in the order of the file.
pub fn load(source: Source, overrides: &[String], environment: &Environment) -> Result<Loaded, Problems> {
    let (origin, text) = read(source)?;
    let fail = |list: Vec<Problem>| Problems { origin: origin.clone(), list };
    let mut root = yaml::parse(&text).map_err(|problem| fail(vec![problem]))?;
    let mut report = Report::default();
    for assignment in overrides {
        overrides::apply(&mut root, assignment, &mut report);
    }
    interpolate::interpolate(&mut root, "", environment, &mut report);
    let json = shape::fit(&root, &crate::schema(), &mut report);
    let file = serde_json::from_value::<raw::File>(json).unwrap_or_else(|error| {
        report.error("", format!("the configuration does not have the expected form: {error}"));
        raw::File::default()
    });
    let (settings, origins) = resolve::resolve(file, environment, &mut report);
    let clean = report.is_clean();
    let (problems, warnings) = report.finish();
    if !clean {
        return Err(fail(problems));
    }
    Ok(Loaded {
        settings,
        warnings,
        origins,
        version: version(&text, overrides),
        is_blank: text.trim().is_empty(),
        origin,
    })
}

fn read(source: Source) -> Result<(String, String), Problems> {
    let path = match source {
        Source::Defaults => return Ok(("no file".to_owned(), String::new())),
        Source::Text { name, yaml } => return Ok((name, yaml)),
        Source::File(path) => path,
    };
    let origin = path.display().to_string();
    let fail = |message: String| {
        let problem = Problem { path: String::new(), line: None, message };
        Problems { origin: origin.clone(), list: vec![problem] }
    };
    let size = std::fs::metadata(&path).map_err(|error| fail(format!("cannot be read: {error}")))?.len();
    if size > yaml::MAX_BYTES as u64 {
        return Err(fail(format!(
            "a configuration has at most {} bytes; this one has {size}",
            yaml::MAX_BYTES
        )));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok((origin, text))
}

fn version(text: &str, overrides: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(text);
    for assignment in overrides {
        hash.update([0]);
        hash.update(assignment);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
