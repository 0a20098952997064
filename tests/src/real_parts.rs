//! Real clients and a real collector, where the machine has them; `tests/real-parts/README.md` says how they are found.
//!
//! Invariant: a test that cannot run says so, in its output and in the file that `SEMANTIC_ROUTER_SKIPPED` names.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::{PATIENCE, repository};

/// Where Python is.
pub const PYTHON: &str = "SEMANTIC_ROUTER_PYTHON";
/// Where the packages of Node are.
pub const NODE_MODULES: &str = "SEMANTIC_ROUTER_NODE_MODULES";
/// Where the collector is.
pub const ROTEL: &str = "SEMANTIC_ROUTER_ROTEL";
/// The folder of Prometheus and its tool.
pub const PROMETHEUS: &str = "SEMANTIC_ROUTER_PROMETHEUS";
/// Where Jaeger's all-in-one is.
pub const JAEGER: &str = "SEMANTIC_ROUTER_JAEGER";
/// Where the official OpenTelemetry Collector is.
pub const OTELCOL: &str = "SEMANTIC_ROUTER_OTELCOL";
/// Where the Python is that has `transformers`.
pub const TRANSFORMERS: &str = "SEMANTIC_ROUTER_TRANSFORMERS";
/// Where Phoenix is.
pub const PHOENIX: &str = "SEMANTIC_ROUTER_PHOENIX";
/// A checkout of the W3C's trace-context repository.
pub const TRACE_CONTEXT_SUITE: &str = "SEMANTIC_ROUTER_TRACE_CONTEXT_SUITE";

/// What is installed only with `--on-demand`.
const ON_DEMAND: [&str; 4] = [JAEGER, OTELCOL, TRANSFORMERS, PHOENIX];

/// Whether the forms that take minutes, or parts that nobody installs, were asked for.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("SEMANTIC_ROUTER_LONG").is_some_and(|value| !value.is_empty())
}

/// The path in a variable. Without it the test is noted as skipped, and should return.
#[must_use]
#[expect(clippy::print_stdout, reason = "the test's own output is where a skip is read")]
pub fn found(test: &str, variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    if path.is_none() {
        let option = if ON_DEMAND.contains(&variable) { " --on-demand" } else { "" };
        let reason = match variable {
            TRACE_CONTEXT_SUITE => format!("{variable} is not set; it names a checkout"),
            _ => format!("{variable} is not set; `eval \"$(tests/real-parts/install{option})\"` sets it"),
        };
        println!("SKIPPED: {reason}");
        if let Some(file) = std::env::var_os("SEMANTIC_ROUTER_SKIPPED") {
            let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
            let noted = file.and_then(|mut file| writeln!(file, "{test}: {reason}"));
            noted.expect("a skip can be noted in the file of SEMANTIC_ROUTER_SKIPPED");
        }
    }
    path.map(PathBuf::from)
}

/// A program of `tests/real-parts`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/real-parts").join(name)
}

/// A real client of the API.
#[derive(Clone, Debug)]
pub enum OpenAi {
    /// The Python client, by its interpreter.
    Python(PathBuf),
    /// The JavaScript client, by its folder of packages.
    JavaScript(PathBuf),
}

impl OpenAi {
    /// Runs one scenario and gives back the line that tells of it.
    pub async fn run(&self, scenario: &str, base_url: &str, variables: &[(&str, &str)]) -> Value {
        let mut command = self.command();
        command.arg(scenario).env("BASE_URL", base_url).envs(variables.iter().copied());
        told(command).await
    }

    fn command(&self) -> Command {
        match self {
            OpenAi::Python(python) => {
                let mut command = Command::new(python);
                // No files beside the sources.
                command.arg("-B").arg(script("openai_python.py"));
                command
            }
            OpenAi::JavaScript(modules) => {
                let mut command = Command::new("node");
                command.arg(script("openai_javascript.mjs")).env(NODE_MODULES, modules);
                command
            }
        }
    }
}

/// Asks one question with OpenAI's Python client under an instrumentation, and gives back the line that tells of it.
/// `arguments` are those of `traced_openai.py`, `collector` is `host:port` of OTLP over gRPC.
pub async fn traced_question(
    python: &Path,
    arguments: &[&str],
    base_url: &str,
    collector: &str,
    variables: &[(&str, &str)],
) -> Value {
    let mut command = Command::new(python);
    command.arg("-B").arg(script("traced_openai.py")).args(arguments);
    command.env("BASE_URL", base_url).env("OTLP_ENDPOINT", format!("http://{collector}"));
    command.envs(variables.iter().copied());
    told(command).await
}

/// Runs a program to its end and reads the one line of JSON that it prints.
async fn told(mut command: Command) -> Value {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE * 2, command.output()).await.expect("the program ends");
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let told = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(told.trim()).unwrap_or_else(|error| {
        panic!("{command:?} told {told:?}: {error}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it takes OTLP over gRPC, `host:port`.
    pub grpc: String,
    /// Where it takes OTLP over HTTP, `host:port`.
    pub http: String,
}

impl Collector {
    /// Starts it and waits until it says where it listens.
    pub async fn start(python: &Path, rotel: &Path) -> Collector {
        let mut command = Command::new(python);
        command.arg("-B").arg(script("rotel_spans.py")).arg("run").arg(rotel);
        // Not killed on drop: that would leave the collector behind. A test that fails closes stdin too, which ends both.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the collector starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
        read.expect("the collector says where it listens").expect("its output can be read");
        let places: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let place = |door: &str| places[door].as_str().expect("a place").to_owned();
        Collector { child, stdout, grpc: place("grpc"), http: place("http") }
    }

    /// Ends it; every span that it has taken, in the order of their coming.
    pub async fn spans(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        let read = tokio::time::timeout(PATIENCE, self.stdout.read_to_string(&mut text)).await;
        read.expect("the collector ends").expect("its output can be read");
        let span = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        text.lines().map(span).collect()
    }
}
