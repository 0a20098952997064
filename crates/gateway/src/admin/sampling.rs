//! `GET` and `PATCH /admin/v1/sampling`: which traces are sampled, from the next request on.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use trace::sampling::{AdaptiveRate, KeepRules, Sampler, UnsampledParent};

use super::{AdminDoor, audit, error};
use crate::tracing_policy::TracingPolicy;

/// What can be changed; what is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `always_on`, `always_off`, `probabilistic` or `adaptive`.
    #[serde(rename = "type")]
    kind: Option<Kind>,
    /// Share of traces, 0 to 1; with `probabilistic`.
    rate: Option<f64>,
    /// Sampled traces per second; with `adaptive`.
    target_per_second: Option<f64>,
    /// `respect` or `ignore`.
    parent_not_sampled: Option<ParentNotSampled>,
    /// What is kept although the head drops it; `null` for nothing.
    #[serde(default, deserialize_with = "given")]
    keep: Option<Option<KeepChange>>,
}

/// Rules that can be changed; what is left out stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepChange {
    errors: Option<bool>,
    blocked: Option<bool>,
    /// Milliseconds; `null` keeps nothing for being slow.
    #[serde(default, deserialize_with = "given")]
    slow_ms: Option<Option<u64>>,
    retries: Option<bool>,
    cache_misses: Option<bool>,
    /// `key=value`, as they are shown; they replace those before.
    attributes: Option<Vec<String>>,
}

/// The most attribute rules: each is compared with every unsampled trace.
const MAX_ATTRIBUTE_RULES: usize = 32;

/// Tells a `null` from a key that is not there.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    AlwaysOn,
    AlwaysOff,
    Probabilistic,
    Adaptive,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ParentNotSampled {
    Respect,
    Ignore,
}

pub(super) async fn show(State(door): State<Arc<AdminDoor>>) -> Json<Value> {
    Json(shown(&door.tracing.load()))
}

pub(super) async fn change(State(door): State<Arc<AdminDoor>>, headers: HeaderMap, body: Bytes) -> Response {
    let audit = audit::Line::new("sampling.change", &headers);
    let current = TracingPolicy::clone(&door.tracing.load());
    let changed = serde_json::from_slice(&body)
        .map_err(|_| "The body must be an object of `type` (always_on, always_off, probabilistic, adaptive), `rate`, `target_per_second`, `parent_not_sampled` (respect, ignore) and `keep` (null, or an object of `errors`, `blocked`, `slow_ms`, `retries`, `cache_misses` and `attributes`).")
        .and_then(|change| apply(current, &change));
    match changed {
        Ok(policy) => {
            let policy = Arc::new(policy);
            door.tracing.store(Arc::clone(&policy));
            audit.done();
            Json(shown(&policy)).into_response()
        }
        Err(message) => {
            audit.failed();
            error(StatusCode::BAD_REQUEST, "invalid_request", message)
        }
    }
}

fn apply(mut policy: TracingPolicy, change: &Change) -> Result<TracingPolicy, &'static str> {
    if change.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        return Err("`rate` must be from 0 to 1.");
    }
    if change.target_per_second.is_some_and(|target| !(target > 0.0 && target.is_finite())) {
        return Err("`target_per_second` must be above 0.");
    }
    let kind = change.kind.or(match (change.rate, change.target_per_second) {
        // A number alone says what it is for.
        (Some(_), None) => Some(Kind::Probabilistic),
        (None, Some(_)) => Some(Kind::Adaptive),
        _ => None,
    });
    policy.sampler = match (kind, change.rate, change.target_per_second, policy.sampler) {
        (None, None, None, sampler) => sampler,
        (Some(Kind::AlwaysOn), None, None, _) => Sampler::AlwaysOn,
        (Some(Kind::AlwaysOff), None, None, _) => Sampler::AlwaysOff,
        (Some(Kind::Probabilistic), Some(rate), None, _) => Sampler::Probabilistic { rate },
        (Some(Kind::Probabilistic), None, None, sampler @ Sampler::Probabilistic { .. }) => sampler,
        (Some(Kind::Adaptive), None, Some(target), _) => {
            Sampler::Adaptive(Arc::new(AdaptiveRate::new(target)))
        }
        (Some(Kind::Adaptive), None, None, sampler @ Sampler::Adaptive(_)) => sampler,
        _ => {
            return Err(
                "`rate` goes with `type: probabilistic`, `target_per_second` with `type: adaptive`, and each needs its number.",
            );
        }
    };
    match change.parent_not_sampled {
        Some(ParentNotSampled::Respect) => policy.unsampled_parent = UnsampledParent::Respect,
        Some(ParentNotSampled::Ignore) => policy.unsampled_parent = UnsampledParent::Ignore,
        None => {}
    }
    match &change.keep {
        Some(Some(keep)) => policy.keep = apply_keep(policy.keep.as_deref(), keep)?,
        Some(None) => policy.keep = None,
        None => {}
    }
    Ok(policy)
}

/// The rules after a change; `None` when every one is off.
fn apply_keep(
    before: Option<&KeepRules>,
    change: &KeepChange,
) -> Result<Option<Arc<KeepRules>>, &'static str> {
    let mut rules = before.cloned().unwrap_or_default();
    for (rule, wanted) in [
        (&mut rules.errors, change.errors),
        (&mut rules.blocked, change.blocked),
        (&mut rules.retries, change.retries),
        (&mut rules.cache_misses, change.cache_misses),
    ] {
        *rule = wanted.unwrap_or(*rule);
    }
    match change.slow_ms {
        Some(Some(0)) => return Err("`keep.slow_ms` must be above 0; null switches it off."),
        Some(slow_ms) => rules.slow = slow_ms.map(Duration::from_millis),
        None => {}
    }
    if let Some(attributes) = &change.attributes {
        rules.attributes = attribute_rules(attributes)?;
    }
    Ok((rules != KeepRules::default()).then(|| Arc::new(rules)))
}

/// A custom attribute and the value that keeps a trace.
type AttributeRule = (Arc<str>, Arc<str>);

fn attribute_rules(written: &[String]) -> Result<Vec<AttributeRule>, &'static str> {
    if written.len() > MAX_ATTRIBUTE_RULES {
        return Err("`keep.attributes` takes at most 32 rules.");
    }
    let rule = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((Arc::from(key), Arc::from(value))),
        _ => Err("Each of `keep.attributes` must be written as `key=value`."),
    };
    written.iter().map(rule).collect()
}

fn shown(policy: &TracingPolicy) -> Value {
    let parent = match policy.unsampled_parent {
        UnsampledParent::Respect => "respect",
        UnsampledParent::Ignore => "ignore",
    };
    let mut shown = match &policy.sampler {
        Sampler::AlwaysOn => json!({"type": "always_on"}),
        Sampler::AlwaysOff => json!({"type": "always_off"}),
        Sampler::Probabilistic { rate } => json!({"type": "probabilistic", "rate": rate}),
        Sampler::Adaptive(rate) => json!({"type": "adaptive", "target_per_second": rate.target_per_second()}),
    };
    shown["parent_not_sampled"] = json!(parent);
    shown["keep"] = policy.keep.as_ref().map_or(Value::Null, |keep| {
        json!({
            "errors": keep.errors,
            "blocked": keep.blocked,
            "slow_ms": keep.slow.map(|slow| u64::try_from(slow.as_millis()).unwrap_or(u64::MAX)),
            "retries": keep.retries,
            "cache_misses": keep.cache_misses,
            "attributes": keep.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
        })
    });
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(json: &str) -> Result<Sampler, &'static str> {
        apply(TracingPolicy::default(), &serde_json::from_str(json).unwrap()).map(|policy| policy.sampler)
    }

    #[test]
    fn a_change_is_whole_or_refused() {
        assert_eq!(changed(r#"{"type":"always_off"}"#), Ok(Sampler::AlwaysOff));
        assert_eq!(changed(r#"{"rate":0.25}"#), Ok(Sampler::Probabilistic { rate: 0.25 }));
        assert_eq!(changed("{}"), Ok(Sampler::AlwaysOn));
        assert!(matches!(changed(r#"{"target_per_second":5}"#), Ok(Sampler::Adaptive(_))));
        for wrong in [
            r#"{"rate":1.5}"#,
            r#"{"target_per_second":0}"#,
            r#"{"rate":1,"target_per_second":1}"#,
            r#"{"type":"probabilistic"}"#,
            r#"{"type":"always_on","rate":0.5}"#,
        ] {
            assert!(changed(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Change>(r#"{"ratio":1}"#).is_err());
    }

    fn kept(before: &TracingPolicy, json: &str) -> Result<TracingPolicy, &'static str> {
        apply(before.clone(), &serde_json::from_str(json).unwrap())
    }

    #[test]
    fn keep_rules_change_one_by_one_or_all_at_once() {
        let policy = kept(&TracingPolicy::default(), r#"{"keep":{"errors":true,"slow_ms":250}}"#).unwrap();
        let more = r#"{"keep":{"retries":true,"slow_ms":null,"attributes":["tenant=a=b"]}}"#;
        let policy = kept(&policy, more).unwrap();
        let rules = policy.keep.as_deref().unwrap();
        assert!(rules.errors && rules.retries && !rules.blocked && !rules.cache_misses);
        assert_eq!(rules.slow, None);
        assert_eq!(rules.attributes, [(Arc::from("tenant"), Arc::from("a=b"))]);
        let others = kept(&policy, r#"{"rate":0.5}"#).unwrap();
        assert_eq!(others.keep, policy.keep, "what is left out stays");
        assert_eq!(kept(&policy, r#"{"keep":null}"#).unwrap().keep, None);
        let off = r#"{"keep":{"errors":false,"retries":false,"attributes":[]}}"#;
        assert_eq!(kept(&policy, off).unwrap().keep, None, "no rule left is no rules");
    }

    #[test]
    fn what_is_shown_can_be_sent_back() {
        let policy = kept(
            &TracingPolicy::default(),
            r#"{"rate":0.5,"keep":{"errors":true,"blocked":true,"slow_ms":9,"attributes":["tenant=x"]}}"#,
        )
        .unwrap();
        assert_eq!(kept(&TracingPolicy::default(), &shown(&policy).to_string()), Ok(policy));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_and_change_nothing() {
        for wrong in [r#"{"keep":{"slow_ms":0}}"#, r#"{"keep":{"attributes":["tenant"]}}"#] {
            assert!(kept(&TracingPolicy::default(), wrong).is_err(), "{wrong}");
        }
        for wrong in [r#"{"keep":{"slow":1}}"#, r#"{"keep":{"slow_ms":-1}}"#, r#"{"keep":true}"#] {
            assert!(serde_json::from_str::<Change>(wrong).is_err(), "{wrong}");
        }
    }
}
