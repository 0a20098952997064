//! `simulate`: a simulated backend.

use simulator::Traces;
use simulator::command::{Options, serve};

use super::{Failure, asked_to_end, runtime, say};
use crate::cli::Simulate;

pub(crate) fn run(flags: Simulate) -> Result<(), Failure> {
    let listen = flags.listen;
    let traces = traces(flags.otlp_endpoint.as_deref(), flags.service)?;
    let options = Options {
        listen,
        name: flags.name,
        models: flags.models,
        any_model: flags.any_model,
        first_token_ms: flags.first_token_ms,
        tokens_per_second: flags.tokens_per_second,
        output_tokens: flags.output_tokens,
        cached_tokens: flags.cached_tokens,
        reasoning: flags.reasoning,
        answers: flags.answers,
        faults: flags.faults,
        seed: flags.seed,
        traces,
        fast: flags.fast,
    };
    let listening =
        |address| say(&format!("Simulated backend listening on http://{address} (Ctrl-C ends it)"));
    let served = runtime()?.block_on(async { serve(options, listening, asked_to_end()).await });
    let lost = served.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Failure::Configuration(error.to_string()),
        _ => Failure::Running(format!("cannot listen on {listen}: {error}")),
    })?;
    if lost > 0 {
        say(&format!(
            "Spans that could not be delivered: {lost}. Is there an OTLP/gRPC receiver at the endpoint?"
        ));
    }
    Ok(())
}

/// OpenTelemetry takes an empty variable for one that is not set.
fn traces(endpoint: Option<&str>, service: String) -> Result<Option<Traces>, Failure> {
    let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) else { return Ok(None) };
    let endpoint = endpoint.parse().map_err(|error: simulator::ScriptError| {
        Failure::Configuration(format!("--otlp-endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {error}"))
    })?;
    let service = if service.is_empty() { Traces::SERVICE.to_owned() } else { service };
    Ok(Some(Traces { endpoint, service }))
}
