//! Measures the whole process: `cargo run --release -p benches -- proxy`, `-- extproc` or `-- tracing`.

mod extproc;
mod proxy;
mod rig;
mod tracing;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmarks of the whole process. The criterion benches are run with `cargo bench`.
#[derive(Debug, Parser)]
#[command(name = "benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The router in front of a fast backend, against going straight to it
    Proxy(proxy::Options),
    /// Envoy in front of a fast backend, alone and with the router as its external processor
    Extproc(extproc::Options),
    /// What tracing costs: each sampling and each exporter against none, at half of saturation and at saturation
    Tracing(tracing::Options),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let measured = match command {
        Command::Proxy(options) => proxy::run(&options),
        Command::Extproc(options) => extproc::run(&options),
        Command::Tracing(options) => tracing::run(&options),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "benches: {error}");
            ExitCode::FAILURE
        }
    }
}
