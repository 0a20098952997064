//! The commands. Each is one file; what they share stands here.

pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod validate;

use std::fmt;
use std::io::Write;

use settings::{Environment, Loaded, Source};

use crate::cli::Configuration;

/// Why a command did not succeed, by whose fault.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is at fault: exit code 2.
    Configuration(String),
    /// Something failed while running: exit code 1.
    Running(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Configuration(message) | Failure::Running(message) => out.write_str(message),
        }
    }
}

/// Loads the settings that the flags name.
pub(crate) fn load(configuration: &Configuration) -> Result<Loaded, Failure> {
    let environment = Environment::capture();
    settings::load(source(configuration, &environment), &configuration.set, &environment)
        .map_err(|problems| Failure::Configuration(problems.to_string()))
}

/// Which file the flags and the environment name.
pub(crate) fn source(configuration: &Configuration, environment: &Environment) -> Source {
    if configuration.no_config {
        return Source::Defaults;
    }
    settings::locate(configuration.config.as_deref(), environment)
}

/// A runtime with as many threads as there are processors.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Long prompts are measured there; more threads than this would only queue for the processors.
        .max_blocking_threads(32)
        .build()
        .map_err(|error| Failure::Running(format!("the runtime cannot start: {error}")))
}

/// Ready when the process is asked to end: Ctrl-C or SIGTERM. Listens from the call on, so that nobody who has seen the
/// doors open can be too early; call it inside the runtime.
#[cfg(unix)]
pub(crate) fn asked_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Without a handler there is no way to be asked; the process then ends as the system decides.
    let listen = |kind| {
        let listening = signal(kind).ok();
        async move {
            match listening {
                Some(mut signals) => _ = signals.recv().await,
                None => std::future::pending().await,
            }
        }
    };
    let (interrupt, terminate) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    async move {
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
    }
}

/// Ready when the process is asked to end: Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn asked_to_end() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Prints to stdout. A reader that has gone away ends the printing, not the program.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints to stderr.
pub(crate) fn say_error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
