//! From checked settings to the pipeline's policy.

mod decisions;
mod models;
mod signals;

use std::sync::Arc;

use pipeline::policy::{
    CachePolicy, CacheScope, ConversationPolicy, Failover, FailurePolicy, Group, Guards, OnFailure, Policy,
};
use settings::Settings;
use settings::check::cache as cache_settings;
use settings::check::routing::{Continuation, FailurePolicy as OnFailureSetting};
use settings::check::signals::SignalKind;

/// A follow-up of at most so many words ("and in Python?") keeps the conversation's model.
const SHORT_FOLLOW_UP_WORDS: usize = 8;

/// Largest answer of a backend that is read for token counts, unmasking and the cache; a longer one passes through.
const ANSWER_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Builds the policy.
///
/// # Errors
///
/// A sentence for the one thing that checked settings cannot promise: keywords and patterns that fit in memory
/// together.
pub(crate) fn build(settings: &Settings, version: &str) -> Result<Policy, String> {
    Ok(Policy {
        version: Arc::from(version),
        signals: settings.signals.iter().map(signals::signal).collect::<Result<_, _>>()?,
        decisions: settings.decisions.iter().map(decisions::decision).collect(),
        models: models::models(settings),
        default_model: settings.default_model.map(|index| index.0),
        groups: settings.groups.iter().map(group).collect(),
        category_threshold: single(settings.routing.min_confidence),
        category_subject: signals::subject(settings.routing.subject),
        guards: guards(settings),
        cache: cache(&settings.cache),
        conversations: ConversationPolicy {
            enabled: settings.routing.continuation == Continuation::Keep,
            short_follow_up_words: SHORT_FOLLOW_UP_WORDS,
        },
        failover: Failover {
            statuses: settings.upstream.failover_statuses.clone(),
            max_attempts: settings.upstream.attempts,
        },
        answer_limit_bytes: ANSWER_LIMIT_BYTES,
        unmask: settings.responses.unmask,
    })
}

/// Probabilities are single precision from the classifiers on.
#[expect(clippy::cast_possible_truncation, reason = "a probability loses nothing that matters")]
fn single(probability: f64) -> f32 {
    probability as f32
}

fn group(group: &settings::check::groups::Group) -> Group {
    Group {
        name: Arc::from(group.name.as_str()),
        categories: group.domains.iter().map(|domain| Arc::from(*domain)).collect(),
        takes_low_confidence: group.takes_low_confidence,
    }
}

/// The checks report from the lowest threshold on that some signal has.
fn guards(settings: &Settings) -> Guards {
    let thresholds = |of: fn(&SignalKind) -> Option<f64>| {
        let lowest = settings.signals.iter().filter_map(|signal| of(&signal.kind)).min_by(f64::total_cmp);
        lowest.map_or(1.0, single)
    };
    let on_failure = &settings.on_failure;
    Guards {
        pii_threshold: thresholds(|kind| match kind {
            SignalKind::Pii { threshold, .. } => Some(*threshold),
            _ => None,
        }),
        jailbreak_threshold: thresholds(|kind| match kind {
            SignalKind::Jailbreak { threshold } => Some(*threshold),
            _ => None,
        }),
        time_limit: on_failure.check_timeout,
        on_failure: OnFailure {
            classification: failure(on_failure.classification),
            pii_detection: failure(on_failure.pii_detection),
            jailbreak_detection: failure(on_failure.jailbreak_detection),
            cache_lookup: failure(on_failure.cache_lookup),
        },
    }
}

fn failure(setting: OnFailureSetting) -> FailurePolicy {
    match setting {
        OnFailureSetting::Refuse => FailurePolicy::Refuse,
        OnFailureSetting::Skip => FailurePolicy::Skip,
    }
}

fn cache(cache: &cache_settings::Cache) -> CachePolicy {
    CachePolicy {
        enabled: cache.enabled,
        scope: match &cache.scope {
            cache_settings::CacheScope::Global => CacheScope::Global,
            cache_settings::CacheScope::Principal => CacheScope::Principal,
            cache_settings::CacheScope::Header(name) => CacheScope::Header(Arc::from(name.as_str())),
        },
        ttl: cache.time_to_live,
        max_entry_bytes: usize::try_from(cache.max_entry_bytes).unwrap_or(usize::MAX),
        allow_tools: cache.tools,
        allow_images: cache.images,
        allow_several_choices: cache.several_choices,
        max_temperature: cache.max_temperature,
    }
}
