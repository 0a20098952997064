//! From YAML to checked settings.
//!
//! What it is: the one reader of the configuration file, of `--set` overrides and of the environment variables that
//! stand in for them. What it is not: aware of any other crate of the router; `compose.rs` in the server maps
//! [`Settings`] to what each part wants. Its invariant: every problem of a file is reported at once, each with its path,
//! and a value of [`Settings`] has none.
//!
//! The way of a file: `yaml` reads it into a tree with lines, `overrides` and `interpolate` change the tree,
//! `shape` holds it against the schema of `raw` (what people write), and `resolve` turns that into [`check`] (what
//! the program trusts). All of them add to one `report`.

pub mod check;
mod defaults;
mod environment;
mod interpolate;
mod load;
mod overrides;
mod problem;
mod raw;
mod report;
mod resolve;
mod secret;
mod shape;
mod suggest;
mod yaml;

pub use check::Settings;
pub use environment::Environment;
pub use load::{DEFAULT_PATH, Loaded, Origin, Source, Winner, load, locate};
pub use problem::{Problem, Problems, render};
pub use secret::Secret;

/// The JSON schema of the file, for editors: `config/schema.json` is this, and `load` checks against it.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::File).to_value()
}
