//! `semantic_router.cache.lookup`: whether the answer is known.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use trace::finding::{CacheLookup, Finding};
use trace::{Link, Record, Stage};

use crate::outcome::{Refusal, StorePlan};
use crate::policy::{CacheOverride, CachePolicy, CacheScope, Policy};
use crate::ports::{AnswerCache, CacheHit, CacheKey};
use crate::request::Request;
use crate::stages::failed;
use crate::stages::routing_decision::Intent;

/// What a lookup came to.
pub(crate) struct Lookup {
    /// Where and how long the answer may be remembered.
    pub(crate) plan: StorePlan,
    /// The answer, if it is known.
    pub(crate) hit: Option<CacheHit>,
}

/// Looks up, and records; `None` where the answer to such a request is not remembered.
pub(crate) async fn run(
    policy: &Policy,
    intent: &Intent<'_>,
    request: &Request,
    cache: &Arc<dyn AnswerCache>,
    record: &mut Record,
) -> Result<Option<Lookup>, Refusal> {
    let Some(ttl) = time_to_live(&policy.cache, intent, request) else { return Ok(None) };
    let index = record.begin(Stage::CacheLookup);
    let key = key(&policy.cache, intent, request);
    let plan = StorePlan { key, ttl, max_entry_bytes: policy.cache.max_entry_bytes };
    let hit = match cache.lookup(&key).await {
        Ok(hit) => hit,
        Err(failure) => {
            record.end(index, Finding::Pending);
            failed(record, index, failure, policy.guards.on_failure.cache_lookup)?;
            return Ok(Some(Lookup { plan, hit: None }));
        }
    };
    let finding = CacheLookup {
        hit: hit.is_some(),
        similarity: hit.as_ref().map(|hit| hit.similarity),
        backend: cache.backend(),
        scope: policy.cache.scope.as_str(),
        age_ms: hit.as_ref().map(|hit| hit.age.as_secs_f64() * 1e3),
    };
    record.end(index, Finding::CacheLookup(finding));
    if let (Some(hit), Some(span)) = (&hit, record.span_mut(index)) {
        span.links.push(Link { context: hit.answer.origin.clone() });
    }
    Ok(Some(Lookup { plan, hit }))
}

/// How long the answer may be remembered; `None` if it may not.
fn time_to_live(policy: &CachePolicy, intent: &Intent<'_>, request: &Request) -> Option<Duration> {
    let default = CacheOverride::default();
    let over = intent.route.map_or(&default, |route| &route.cache);
    if !over.enabled.unwrap_or(policy.enabled) || !cacheable(policy, request) {
        return None;
    }
    Some(over.ttl.unwrap_or(policy.ttl)).filter(|ttl| *ttl > Duration::ZERO)
}

/// Whether an answer to this request is good for another one.
fn cacheable(policy: &CachePolicy, request: &Request) -> bool {
    let facts = request.parsed.facts();
    let shape = &facts.shape;
    let media = shape.has_images || shape.has_audio || shape.has_files;
    request.parsed.dialect() != dialects::Dialect::Embeddings
        && (policy.allow_tools || !shape.has_tools)
        && (policy.allow_images || !media)
        && (policy.allow_several_choices || facts.sampling.n.unwrap_or(1) <= 1)
        && facts.sampling.temperature.unwrap_or(0.0) <= policy.max_temperature
        // A replayed stream would lose log probabilities; token numbers are not text that could be compared.
        && !shape.has_logprobs
        && !shape.has_token_ids
        && facts.previous_response_id.is_none()
}

/// Who may see the answer, what was decided, and everything that shapes it.
fn key(policy: &CachePolicy, intent: &Intent<'_>, request: &Request) -> CacheKey {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    part(policy.scope.as_str().as_bytes());
    part(&scope_value(&policy.scope, request));
    part(intent.decision.as_bytes());
    part(intent.requested_name.as_deref().unwrap_or_default().as_bytes());
    for (model, _) in &intent.candidates {
        part(model.name.as_bytes());
        part(model.upstream_name.as_bytes());
    }
    let reasoning = intent.reasoning.as_ref();
    part(&[reasoning.map_or(2, |choice| u8::from(choice.enabled))]);
    part(reasoning.and_then(|choice| choice.effort.as_deref()).unwrap_or_default().as_bytes());
    if let Some(prompt) = intent.route.and_then(|route| route.system_prompt.as_ref()) {
        part(&[prompt.mode as u8]);
        part(prompt.text.as_bytes());
    }
    let partition: [u8; 32] = hash.clone().finalize().into();
    request.parsed.canonical_form(&mut |bytes| hash.update(bytes));
    CacheKey { partition, exact: hash.finalize().into() }
}

fn scope_value(scope: &CacheScope, request: &Request) -> Vec<u8> {
    let header = match scope {
        CacheScope::Global => return Vec::new(),
        CacheScope::Principal => None,
        CacheScope::Header(name) => request.header(name).next().map(|value| value.as_bytes().to_vec()),
    };
    header.unwrap_or_else(|| request.principal.identity().into_bytes())
}
