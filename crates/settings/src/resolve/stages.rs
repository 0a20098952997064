//! Routing, the cache, failures of stages, and what happens to answers.

use std::time::Duration;

use super::net;
use crate::check::cache::{Cache, CacheScope};
use crate::check::routing::{Continuation, FailurePolicy, OnFailure, Responses, Routing};
use crate::check::signals::Subject;
use crate::defaults;
use crate::environment::Environment;
use crate::raw;
use crate::report::Report;

pub(super) fn routing(raw: raw::Routing) -> Routing {
    Routing {
        min_confidence: raw.min_confidence.unwrap_or(defaults::MIN_CONFIDENCE),
        continuation: match raw.continuation {
            Some(raw::Continuation::Reroute) => Continuation::Reroute,
            Some(raw::Continuation::Keep) | None => Continuation::Keep,
        },
        subject: raw.subject.unwrap_or(Subject::LastUserMessage),
    }
}

pub(super) fn cache(raw: raw::cache::Cache, environment: &Environment, report: &mut Report) -> Cache {
    if raw.backend == Some(raw::cache::CacheBackend::Qdrant) {
        report.error("cache.backend", "qdrant is not available in this version; use embedded");
    } else if environment.filled("QDRANT_URL").is_some() {
        report.warn(
            "cache.backend",
            "QDRANT_URL is set, but qdrant is not available in this version: the cache is embedded",
        );
    }
    let threshold = raw.threshold.unwrap_or(defaults::CACHE_THRESHOLD);
    if threshold < 1.0 {
        let message =
            "a similarity under 1 is not available in this version; the cache answers the same text only";
        report.error("cache.threshold", message);
    }
    let max_bytes = raw.max_bytes.unwrap_or(defaults::CACHE_BYTES);
    let max_entry_bytes = raw.max_entry_bytes.unwrap_or(defaults::CACHE_ENTRY_BYTES.min(max_bytes));
    if max_entry_bytes > max_bytes {
        report.error(
            "cache.max_entry_bytes",
            format!("one answer cannot have more bytes than all: max_bytes is {max_bytes}"),
        );
    }
    let scope = scope(raw.scope, raw.scope_header.as_deref(), report);
    let allow = raw.allow.unwrap_or_default();
    Cache {
        enabled: raw.enabled.unwrap_or(true),
        scope,
        threshold,
        time_to_live: Duration::from_secs(raw.ttl_seconds.unwrap_or(defaults::CACHE_TTL_SECONDS)),
        max_entries: raw.max_entries.unwrap_or(defaults::CACHE_ENTRIES),
        max_bytes,
        max_entry_bytes,
        tools: allow.tools.unwrap_or(false),
        images: allow.images.unwrap_or(false),
        several_choices: allow.several_choices.unwrap_or(false),
        max_temperature: allow.max_temperature.unwrap_or(defaults::CACHE_MAX_TEMPERATURE),
    }
}

fn scope(raw: Option<raw::cache::CacheScope>, header: Option<&str>, report: &mut Report) -> CacheScope {
    use crate::raw::cache::CacheScope as Raw;
    match (raw.unwrap_or(Raw::Principal), header) {
        (Raw::Header, Some(name)) => match net::header_name(name) {
            Ok(name) => CacheScope::Header(name),
            Err(message) => {
                report.error("cache.scope_header", message);
                CacheScope::Principal
            }
        },
        (Raw::Header, None) => {
            report.error("cache.scope_header", "missing: the scope `header` needs the name of one");
            CacheScope::Principal
        }
        (_, Some(_)) => {
            report.error("cache.scope_header", "only the scope `header` reads this; set `scope: header`");
            CacheScope::Principal
        }
        (Raw::Global, None) => CacheScope::Global,
        (Raw::Principal, None) => CacheScope::Principal,
    }
}

pub(super) fn on_failure(raw: &raw::cache::OnFailure) -> OnFailure {
    use FailurePolicy::{Refuse, Skip};
    OnFailure {
        classification: raw.classification.unwrap_or(Skip),
        pii_detection: raw.pii_detection.unwrap_or(Refuse),
        jailbreak_detection: raw.jailbreak_detection.unwrap_or(Refuse),
        cache_lookup: raw.cache_lookup.unwrap_or(Skip),
        check_timeout: Duration::from_millis(raw.check_timeout_ms.unwrap_or(defaults::CHECK_TIMEOUT_MS)),
    }
}

pub(super) fn responses(raw: &raw::cache::Responses) -> Responses {
    Responses { unmask: raw.unmask.unwrap_or(true) }
}
