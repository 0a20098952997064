//! `semantic_router.cache.lookup`: whether the answer is known.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use trace::finding::{CacheLookup, Finding};
use trace::{Link, Record, Stage};

use crate::outcome::{Refusal, StorePlan};
use crate::policy::{CacheOverride, CachePolicy, CacheScope, FailurePolicy};
use crate::ports::{AnswerCache, CacheHit, CacheKey};
use crate::request::Request;
use crate::stages::failed;
use crate::stages::routing_decision::Intent;

/// Looks up, and records.
pub(crate) async fn run(
    key: &CacheKey,
    scope: &'static str,
    cache: &Arc<dyn AnswerCache>,
    policy: FailurePolicy,
    record: &mut Record,
) -> Result<Option<CacheHit>, Refusal> {
    let index = record.begin(Stage::CacheLookup);
    let found = cache.lookup(key).await;
    let hit = match found {
        Ok(hit) => hit,
        Err(failure) => {
            record.end(index, Finding::Pending);
            return failed(record, index, failure, policy).map(|()| None);
        }
    };
    let finding = CacheLookup {
        hit: hit.is_some(),
        similarity: hit.as_ref().map(|hit| hit.similarity),
        backend: cache.backend(),
        scope,
        age_ms: hit.as_ref().map(|hit| hit.age.as_secs_f64() * 1e3),
    };
    record.end(index, Finding::CacheLookup(finding));
    if let (Some(hit), Some(span)) = (&hit, record.span_mut(index)) {
        span.links.push(Link { context: hit.answer.origin.clone() });
    }
    Ok(hit)
}

/// Where and how long the answer may be remembered; `None` if it may not.
pub(crate) fn plan(policy: &CachePolicy, intent: &Intent<'_>, request: &Request) -> Option<StorePlan> {
    let default = CacheOverride::default();
    let over = intent.route.map_or(&default, |route| &route.cache);
    if !over.enabled.unwrap_or(policy.enabled) || !cacheable(policy, request) {
        return None;
    }
    let ttl = over.ttl.unwrap_or(policy.ttl);
    (ttl > Duration::ZERO).then(|| StorePlan {
        key: key(policy, intent, request),
        ttl,
        max_entry_bytes: policy.max_entry_bytes,
    })
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
