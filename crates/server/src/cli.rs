//! The command line: names, flags and help. No behaviour.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  semantic-router demo                                  try it: two simulated models, nothing else needed
  semantic-router --config config/config.yaml           serve real backends
  OPENAI_API_KEY=… semantic-router --no-config          serve OpenAI's API at once
  semantic-router explain \"What is 2+2?\"                which model would answer, and why
  semantic-router validate --config config/config.yaml  every mistake of a file at once

Exit codes:
  0  done, or ended by Ctrl-C or SIGTERM after draining
  1  a failure while running, such as a port in use
  2  a mistake in the command line or in the configuration";

/// A semantic router for LLM traffic, with a trace of every decision.
#[derive(Debug, Parser)]
#[command(name = "semantic-router", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where the settings come from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Configuration {
    /// The configuration file; else CONFIG_PATH, else config/config.yaml if it is there
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "no_config")]
    pub(crate) config: Option<PathBuf>,
    /// Read no file: OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL and OTEL_* variables decide
    #[arg(long, global = true)]
    pub(crate) no_config: bool,
    /// Set one value over the file, such as listen.http=127.0.0.1:8000; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub(crate) set: Vec<String>,
}

/// What to do; serving is the default.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve requests (the default)
    Serve,
    /// Serve in front of two simulated models, and show each request as a span tree
    Demo(Demo),
    /// Run a simulated, OpenAI-compatible backend
    Simulate(Box<Simulate>),
    /// Check a configuration and report every mistake at once
    #[command(visible_alias = "check")]
    Validate,
    /// Say which model would answer a prompt, and why; nothing is forwarded
    Explain(Explain),
    /// Print the JSON schema of the configuration, for editors
    Schema,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the router listens
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Send the suggested requests once, show their traces, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Start Envoy in front too, and send the requests through it; the program is looked for in PATH unless it is named
    #[arg(long, value_name = "PROGRAM", num_args = 0..=1, require_equals = true, default_missing_value = "envoy")]
    pub(crate) envoy: Option<PathBuf>,
    /// Where Envoy listens
    #[arg(long, default_value = "127.0.0.1:8801", value_name = "ADDRESS", requires = "envoy")]
    pub(crate) envoy_listen: SocketAddr,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The prompt
    pub(crate) prompt: String,
    /// Print the span tree too
    #[arg(long)]
    pub(crate) trace: bool,
}

/// Flags of `simulate`.
#[derive(Debug, Args)]
#[command(after_long_help = simulator::FAULT_HELP)]
pub(crate) struct Simulate {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Name of this backend, in the header x-simulator
    #[arg(long, default_value = "simulator")]
    pub(crate) name: String,
    /// A model that it serves; may be repeated
    #[arg(long = "model", value_name = "NAME")]
    pub(crate) models: Vec<String>,
    /// Answer under any model's name
    #[arg(long)]
    pub(crate) any_model: bool,
    /// Milliseconds to the first token
    #[arg(long, default_value_t = 50, value_name = "MS")]
    pub(crate) first_token_ms: u64,
    /// Tokens per second after it; 0 means without delay
    #[arg(long, default_value_t = 100.0, value_name = "RATE")]
    pub(crate) tokens_per_second: f64,
    /// Length of each answer in tokens
    #[arg(long, value_name = "TOKENS")]
    pub(crate) output_tokens: Option<u32>,
    /// Prompt tokens reported as cached
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    pub(crate) cached_tokens: u32,
    /// When it reasons: never, when-asked, always
    #[arg(long, default_value = "when-asked", value_name = "WHEN")]
    pub(crate) reasoning: simulator::Reasoning,
    /// An answer, as PART OF THE PROMPT=TEXT; may be repeated
    #[arg(long = "answer", value_name = "PART=TEXT")]
    pub(crate) answers: Vec<String>,
    /// A fault, such as status=503@every=3; may be repeated, --help lists them
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<String>,
    /// Seed of everything arbitrary
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where its spans go, over OTLP/gRPC, such as http://127.0.0.1:4317; without it there are none
    #[arg(long, value_name = "ENDPOINT", env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", hide_env_values = true)]
    pub(crate) otlp_endpoint: Option<String>,
    /// The service that its spans name
    #[arg(long, value_name = "NAME", env = "OTEL_SERVICE_NAME", default_value = simulator::Traces::SERVICE)]
    pub(crate) service: String,
    /// Static answers without delays, for load tests
    #[arg(long)]
    pub(crate) fast: bool,
}
