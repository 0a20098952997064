//! `GET` and `PATCH /admin/v1/sampling`: which traces are sampled, from the next request on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use trace::sampling::{AdaptiveRate, Sampler, UnsampledParent};

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
        .map_err(|_| "The body must be an object of `type` (always_on, always_off, probabilistic, adaptive), `rate`, `target_per_second` and `parent_not_sampled` (respect, ignore).")
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
    Ok(policy)
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
}
