//! `semantic_router.upstream.request`: one attempt at one endpoint. The door sends it; this is what is sent, and what
//! the span says of it.

use std::sync::Arc;

use dialects::edit::Edits;
use serde_json::Value;
use trace::finding::{Cost, Parameters, UpstreamRequest, Usage};

use crate::outcome::{Choice, Plan};
use crate::policy::{Endpoint, FamilySwitch, Price};
use crate::request::Request;

/// The edits for one attempt, but for the system prompt: a pure function of the request, the plan and the choice.
pub(crate) fn edits(request: &Request, plan: &Plan, choice: &Choice, endpoint: &Endpoint) -> Edits {
    let mut edits = Edits {
        model: Some(choice.upstream_name.to_string()),
        masked_texts: plan.masked_texts.clone(),
        stream_options_include_usage: asks_usage(request, endpoint),
        ..Edits::default()
    };
    if choice.switch_reasoning
        && let Some(family) = &choice.model.reasoning_family
    {
        match (&family.switch, choice.reasoning.enabled) {
            (FamilySwitch::Member { path, on, .. }, true) => edits.members.push((path.clone(), on.clone())),
            (FamilySwitch::Member { path, off, .. }, false) => {
                edits.members.push((path.clone(), off.clone()));
            }
            (FamilySwitch::Effort { path, default }, true) => {
                let effort = choice.reasoning.effort.as_ref().unwrap_or(default);
                edits.members.push((path.clone(), Value::from(&**effort)));
            }
            (FamilySwitch::Effort { path, .. }, false) => edits.removed.extend(path.first().cloned()),
        }
    }
    edits
}

/// Whether the counts of a stream are asked for on the client's behalf, so that the extra chunk must go again.
pub(crate) fn asks_usage(request: &Request, endpoint: &Endpoint) -> bool {
    endpoint.ask_usage
        && request.parsed.stream()
        && request.parsed.include_usage() != Some(true)
        && request.parsed.dialect() != dialects::Dialect::Embeddings
}

/// What the span says before anything has come back.
pub(crate) fn finding(
    request: &Request,
    choice: &Choice,
    endpoint: &Endpoint,
    attempt: u32,
) -> UpstreamRequest {
    let facts = request.parsed.facts();
    let dialect = request.parsed.dialect();
    let path = if endpoint.path_prefix.is_empty() {
        Arc::from(dialect.path())
    } else {
        Arc::from(format!("{}{}", endpoint.path_prefix, dialect.path()))
    };
    UpstreamRequest {
        model: Arc::clone(&choice.upstream_name),
        provider: Arc::clone(&choice.model.provider),
        version: choice.model.version.clone(),
        endpoint: Arc::clone(&endpoint.name),
        server_address: Arc::clone(&endpoint.address.host),
        server_port: endpoint.address.port,
        path,
        operation: dialect.operation_name(),
        attempt,
        http_status: None,
        parameters: Parameters {
            stream: facts.stream,
            temperature: facts.sampling.temperature,
            top_p: facts.sampling.top_p,
            max_tokens: facts.sampling.max_tokens,
            choice_count: facts.sampling.n,
            seed: facts.sampling.seed,
            frequency_penalty: facts.sampling.frequency_penalty,
            presence_penalty: facts.sampling.presence_penalty,
        },
        answer: trace::finding::Answer::default(),
        cost: None,
        stalled_by_client_ms: 0.0,
    }
}

/// What an answer cost.
#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
pub(crate) fn cost(price: &Price, usage: &Usage) -> Cost {
    let dollars = |tokens: u64, per_million: f64| tokens as f64 * per_million / 1e6;
    let cached = usage.cached.unwrap_or(0).min(usage.prompt);
    Cost {
        prompt: dollars(usage.prompt - cached, price.prompt)
            + dollars(cached, price.cached.unwrap_or(price.prompt)),
        completion: dollars(usage.completion, price.completion),
    }
}
