//! The command `semantic-router simulate`, without its flags: the server crate maps them to [`Options`].

use std::future::Future;
use std::net::SocketAddr;

use crate::{Answer, FaultRule, Reasoning, Script, ScriptError, Simulator, Traces};

/// What the command can be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free port.
    pub listen: SocketAddr,
    /// Name of the backend, in the header `x-simulator`.
    pub name: String,
    /// Models; none given means one named `simulated-model`.
    pub models: Vec<String>,
    /// Answer unknown models too.
    pub any_model: bool,
    /// Milliseconds to the first token.
    pub first_token_ms: u64,
    /// Tokens per second after it; 0 means without delay.
    pub tokens_per_second: f64,
    /// Length of each answer in tokens.
    pub output_tokens: Option<u32>,
    /// Prompt tokens reported as cached.
    pub cached_tokens: u32,
    /// When to reason.
    pub reasoning: Reasoning,
    /// Rows `PART OF THE PROMPT=TEXT`, before the built-in answers.
    pub answers: Vec<String>,
    /// Rules as in [`crate::FAULT_HELP`].
    pub faults: Vec<String>,
    /// Seed of everything arbitrary.
    pub seed: u64,
    /// Where spans go.
    pub traces: Option<Traces>,
    /// Static answers for load tests.
    pub fast: bool,
}

impl Default for Options {
    /// A model of middling speed on the loopback port 8000, where a vLLM server would listen.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            name: "simulator".into(),
            models: Vec::new(),
            any_model: false,
            first_token_ms: 50,
            tokens_per_second: 100.0,
            output_tokens: None,
            cached_tokens: 0,
            reasoning: Reasoning::WhenAsked,
            answers: Vec::new(),
            faults: Vec::new(),
            seed: 0,
            traces: None,
            fast: false,
        }
    }
}

impl TryFrom<Options> for Script {
    type Error = ScriptError;

    /// # Errors
    /// The first fault or answer that cannot be read.
    fn try_from(options: Options) -> Result<Self, ScriptError> {
        let faults: Result<Vec<FaultRule>, _> = options.faults.iter().map(|rule| rule.parse()).collect();
        let row = |row: &String| match row.split_once('=') {
            Some((part, text)) if !part.is_empty() => Ok((part.to_owned(), text.to_owned())),
            _ => Err(ScriptError::new(row, "an answer is written PART OF THE PROMPT=TEXT")),
        };
        let rows: Result<Vec<_>, _> = options.answers.iter().map(row).collect();
        let mut answer = Answer::familiar();
        answer.table.splice(0..0, rows?);
        let defaults = Self::default();
        Ok(Self {
            name: options.name,
            models: if options.models.is_empty() { defaults.models } else { options.models },
            any_model: options.any_model,
            first_token_ms: options.first_token_ms,
            tokens_per_second: options.tokens_per_second,
            output_tokens: options.output_tokens,
            cached_tokens: options.cached_tokens,
            answer,
            reasoning: options.reasoning,
            faults: faults?,
            seed: options.seed,
            created: None,
            traces: options.traces,
            fast: options.fast,
            reasoning_tokens: defaults.reasoning_tokens,
            embedding_dimensions: defaults.embedding_dimensions,
        })
    }
}

/// Runs a simulator until `shutdown` is ready. `listening` is told the address once, before the first request. Gives back
/// how many spans could not be delivered.
///
/// # Errors
/// The options cannot be read (kind `InvalidInput`), or the address cannot be bound.
pub async fn serve(
    options: Options,
    listening: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<u64> {
    let listen = options.listen;
    let script = Script::try_from(options)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
    let simulator = Simulator::start(script, listen).await?;
    listening(simulator.address());
    shutdown.await;
    Ok(simulator.shutdown().await)
}
