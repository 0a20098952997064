//! The bench on which the end-to-end tests stand: the real program, simulated backends, raw and real clients, a real collector.
//!
//! What it is: ways to start the program `semantic-router` as users do, to send it exact bytes, and to read what it wrote.
//! What it is not: a test, or a second reading of the router's code; it knows only the command line, HTTP, and the forms
//! in which spans are printed.
//!
//! Invariant: nothing here waits without a bound or sleeps in the hope that something has happened. Every wait is for a
//! condition, and one that does not come true fails the test with what was seen instead. Every port is the kernel's choice.

#![expect(clippy::expect_used, clippy::panic, reason = "what goes wrong on the test bench fails the test")]

pub mod backend;
pub mod capture;
pub mod client;
pub mod configuration;
pub mod envoy;
pub mod process;
pub mod real_parts;
pub mod router;
pub mod service;
pub mod span;
pub mod tree;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one condition may take to come true. Long enough for a machine under load; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long one test may take.
pub const TEST_LIMIT: Duration = Duration::from_secs(120);

/// Runs one test, within [`TEST_LIMIT`].
pub fn bounded<T>(test: impl Future<Output = T>) -> T {
    bounded_by(TEST_LIMIT, test)
}

/// Runs one test, within a limit of its own.
pub fn bounded_by<T>(limit: Duration, test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the test's runtime cannot start");
    runtime.block_on(async {
        tokio::time::timeout(limit, test).await.expect("the test took longer than its limit")
    })
}

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the repository")
}

/// The program under test, beside the folder of the test executable.
#[must_use]
pub fn program() -> PathBuf {
    built("semantic-router", "cargo build")
}

/// An example that Cargo has built.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    built(&format!("examples/{name}"), "cargo build --workspace --examples")
}

fn built(name: &str, command: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test executable has a path");
    let folder =
        test.parent().and_then(Path::parent).expect("the test executable stands in target/PROFILE/deps");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not there: the end-to-end tests run the program as it was built last. Run `{command}` first, with the \
         same profile and target folder as the tests.",
        program.display()
    );
    program
}
