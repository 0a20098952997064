//! Measures the whole process: `cargo run --release -p benches -- proxy`.

mod proxy;

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
}

fn main() -> ExitCode {
    let Cli { command: Command::Proxy(options) } = Cli::parse();
    match proxy::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "benches: {error}");
            ExitCode::FAILURE
        }
    }
}
