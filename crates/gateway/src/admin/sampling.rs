//! `GET` and `PATCH /admin/v1/sampling`: which traces are sampled, from the next request on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use trace::sampling::{Sampler, UnsampledParent};

use super::{AdminDoor, audit, error};
use crate::tracing_policy::TracingPolicy;

/// What can be changed; what is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `always_on`, `always_off` or `probabilistic`.
    #[serde(rename = "type")]
    kind: Option<Kind>,
    /// Share of traces, 0 to 1; with `probabilistic`.
    rate: Option<f64>,
    /// `respect` or `ignore`.
    parent_not_sampled: Option<ParentNotSampled>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    AlwaysOn,
    AlwaysOff,
    Probabilistic,
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
    let current = **door.tracing.load();
    let changed = serde_json::from_slice(&body)
        .map_err(|_| "The body must be an object of `type` (always_on, always_off, probabilistic), `rate` and `parent_not_sampled` (respect, ignore).")
        .and_then(|change| apply(current, &change));
    match changed {
        Ok(policy) => {
            door.tracing.store(Arc::new(policy));
            audit.done();
            Json(shown(&policy)).into_response()
        }
        Err(message) => {
            audit.failed();
            error(StatusCode::BAD_REQUEST, "invalid_request", message)
        }
    }
}

fn apply(current: TracingPolicy, change: &Change) -> Result<TracingPolicy, &'static str> {
    let mut policy = current;
    if change.rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        return Err("`rate` must be from 0 to 1.");
    }
    policy.sampler = match (change.kind, change.rate, current.sampler) {
        (Some(Kind::AlwaysOn), None, _) => Sampler::AlwaysOn,
        (Some(Kind::AlwaysOff), None, _) => Sampler::AlwaysOff,
        (Some(Kind::AlwaysOn | Kind::AlwaysOff), Some(_), _) => {
            return Err("`rate` goes with `type: probabilistic` only.");
        }
        // A rate alone says what it is for.
        (Some(Kind::Probabilistic) | None, Some(rate), _) => Sampler::Probabilistic { rate },
        (Some(Kind::Probabilistic), None, sampler @ Sampler::Probabilistic { .. }) => sampler,
        (Some(Kind::Probabilistic), None, _) => return Err("`type: probabilistic` needs a `rate`."),
        (None, None, sampler) => sampler,
    };
    match change.parent_not_sampled {
        Some(ParentNotSampled::Respect) => policy.unsampled_parent = UnsampledParent::Respect,
        Some(ParentNotSampled::Ignore) => policy.unsampled_parent = UnsampledParent::Ignore,
        None => {}
    }
    Ok(policy)
}

fn shown(policy: &TracingPolicy) -> Value {
    let (kind, rate) = match policy.sampler {
        Sampler::AlwaysOn => ("always_on", None),
        Sampler::AlwaysOff => ("always_off", None),
        Sampler::Probabilistic { rate } => ("probabilistic", Some(rate)),
    };
    let parent = match policy.unsampled_parent {
        UnsampledParent::Respect => "respect",
        UnsampledParent::Ignore => "ignore",
    };
    json!({"type": kind, "rate": rate, "parent_not_sampled": parent})
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
        for wrong in [r#"{"rate":1.5}"#, r#"{"type":"probabilistic"}"#, r#"{"type":"always_on","rate":0.5}"#]
        {
            assert!(changed(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<Change>(r#"{"ratio":1}"#).is_err());
    }
}
