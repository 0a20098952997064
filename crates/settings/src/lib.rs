//! From YAML to checked settings.
//!
//! What it is: the one reader of the configuration file, of `--set` overrides and of the environment variables that
//! stand in for them. What it is not: aware of any other crate of the router; `compose.rs` in the server maps
//! [`Settings`] to what each part wants. Its invariant: every problem of a file is reported at once, each with its path,
//! and a value of [`Settings`] has none.

#![allow(dead_code, reason = "the walking path is being laid")]

pub mod check;
mod defaults;
mod raw;
mod secret;

pub use check::Settings;
pub use secret::Secret;
