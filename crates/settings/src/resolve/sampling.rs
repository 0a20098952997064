//! Which traces go out.

use std::time::Duration;

use super::environment::Chooser;
use crate::check::observability::{Head, Keep, ParentNotSampled, Sampling};
use crate::defaults;
use crate::raw::observability as raw;

const PATH: &str = "observability.tracing.sampling";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// What the file says, else `OTEL_TRACES_SAMPLER`, else 10 % in production and everything elsewhere.
pub(super) fn resolve(
    raw: raw::Sampling,
    deployment_environment: &str,
    chooser: &mut Chooser<'_>,
) -> Sampling {
    let argument = chooser.environment.filled("OTEL_TRACES_SAMPLER_ARG").map(str::to_owned);
    let written = head(&raw, chooser).map(|head| (head, ParentNotSampled::Respect));
    let parse = |text: &str| sampler(text, argument.as_deref());
    let fallback = match deployment_environment {
        "production" | "prod" => Head::Probabilistic(defaults::PRODUCTION_RATE),
        _ => Head::AlwaysOn,
    };
    let default = (fallback, ParentNotSampled::Respect);
    let (head, parent) = chooser.choose(&format!("{PATH}.type"), written, &[SAMPLER], parse, default);
    let keep = if head == Head::AlwaysOff { Keep::default() } else { keep(raw.keep.unwrap_or_default()) };
    Sampling { head, parent_not_sampled: raw.parent_not_sampled.unwrap_or(parent), keep }
}

/// The head decision of the file; a `rate` without a type is probabilistic, a `target_per_second` adaptive.
fn head(raw: &raw::Sampling, chooser: &mut Chooser<'_>) -> Option<Head> {
    let kind = match (raw.kind, raw.rate, raw.target_per_second) {
        (Some(kind), _, _) => kind,
        (None, Some(_), _) => raw::SamplingType::Probabilistic,
        (None, None, Some(_)) => raw::SamplingType::Adaptive,
        (None, None, None) => return None,
    };
    Some(match kind {
        raw::SamplingType::AlwaysOn => Head::AlwaysOn,
        raw::SamplingType::AlwaysOff => Head::AlwaysOff,
        raw::SamplingType::Probabilistic => {
            if raw.rate.is_none() {
                let message = "missing: the share of traces that `probabilistic` keeps, from 0 to 1";
                chooser.report.error(&format!("{PATH}.rate"), message);
            }
            Head::Probabilistic(raw.rate.unwrap_or(1.0))
        }
        raw::SamplingType::Adaptive => {
            Head::Adaptive(raw.target_per_second.unwrap_or(defaults::TARGET_PER_SECOND))
        }
    })
}

/// A word of `OTEL_TRACES_SAMPLER`. The ones without `parentbased_` do not look at the caller's flag.
fn sampler(text: &str, argument: Option<&str>) -> Result<(Head, ParentNotSampled), String> {
    let (word, parent) = match text.strip_prefix("parentbased_") {
        Some(word) => (word, ParentNotSampled::Respect),
        None => (text, ParentNotSampled::Ignore),
    };
    let head = match word {
        "always_on" => Head::AlwaysOn,
        "always_off" => Head::AlwaysOff,
        "traceidratio" => Head::Probabilistic(ratio(argument)?),
        _ => {
            return Err(
                "always_on, always_off or traceidratio, each also with parentbased_ before it".to_owned()
            );
        }
    };
    Ok((head, parent))
}

fn ratio(argument: Option<&str>) -> Result<f64, String> {
    let Some(text) = argument else { return Ok(1.0) };
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "a number from 0 to 1 in OTEL_TRACES_SAMPLER_ARG".to_owned())
}

fn keep(raw: raw::Keep) -> Keep {
    Keep {
        errors: raw.errors.unwrap_or(false),
        blocked: raw.blocked.unwrap_or(false),
        slow: raw.slow_ms.map(Duration::from_millis),
        retries: raw.retries.unwrap_or(false),
        cache_misses: raw.cache_misses.unwrap_or(false),
        attributes: raw.attributes.into_iter().collect(),
    }
}
