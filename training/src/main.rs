//! Trains, calibrates, quantises and measures the models that `inference` compiles in.
//!
//! It is a command for people who have the data sets; nothing of the product needs it. Invariant: what is measured is the
//! file that is written, and the same data, seed and version write the same bytes.
#![expect(clippy::print_stderr, reason = "a command that shows its progress")]

mod calibrate;
mod data;
mod domain;
mod duplicates;
mod examples;
mod fit;
mod jailbreak;
mod measure;
mod model_file;
mod parallel;
mod report;
mod templates;

use clap::{Parser, ValueEnum};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Train the built-in models from a folder of data sets.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Which model.
    which: Which,
    /// Folder with the data sets, laid out as models/README.md lists them.
    #[arg(long)]
    data: PathBuf,
    /// Seed of the splits, the order of training and the templates.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Folder for the model files and their scores.
    #[arg(long, default_value = "crates/inference/models")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Domain,
    Jailbreak,
    All,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("training: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&arguments.out)?;
    if arguments.which != Which::Jailbreak {
        domain::train(&arguments.data, arguments.seed, &arguments.out)?;
    }
    if arguments.which != Which::Domain {
        jailbreak::train(&arguments.data, arguments.seed, &arguments.out)?;
    }
    report::write_readme(&arguments.out)?;
    Ok(())
}
