//! The whole process with real parts that are too heavy for each `./check`: they take gigabytes to download, or minutes
//! to compile.
//!
//! `./check on-demand` installs them and runs these tests; a part that is not there is a test that says so and returns.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "what goes wrong in a test fails it")]

mod jaeger;
mod otelcol;
mod phoenix;
mod tiny_model;
