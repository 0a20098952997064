//! The semantic router: one binary. This file maps commands to code and results to exit codes.

mod cli;
mod commands;
mod compose;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { configuration, command } = Cli::parse();
    let result = match command.unwrap_or(Command::Serve) {
        Command::Serve => commands::serve::run(&configuration),
        Command::Demo(options) => commands::demo::run(&options),
        Command::Simulate(options) => commands::simulate::run(*options),
        Command::Validate => commands::validate::run(&configuration),
        Command::Explain(options) => commands::explain::run(&configuration, &options),
        Command::Schema => commands::schema::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            commands::say_error(&failure.to_string());
            match failure {
                Failure::Running(_) => ExitCode::from(1),
                Failure::Configuration(_) => ExitCode::from(2),
            }
        }
    }
}
