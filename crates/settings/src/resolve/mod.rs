//! From the raw file to checked settings.
//!
//! What it is not: a reader. Each file here resolves the part of the same name in [`crate::check`]. Its invariant: a
//! resolver reports what is wrong and returns a stand-in; none stops the others.

mod access;
mod decisions;
mod environment;
mod exporters;
mod groups;
mod listen;
mod models;
mod net;
mod observability;
mod provider;
mod sampling;
mod signals;
mod stages;
mod upstream;

use std::time::Duration;

use crate::check::Settings;
use crate::defaults;
use crate::environment::Environment;
use crate::load::Origin;
use crate::raw;
use crate::report::Report;

/// Everything that the file and the environment say, checked and completed.
pub(crate) fn resolve(
    file: raw::File,
    environment: &Environment,
    report: &mut Report,
) -> (Settings, Vec<Origin>) {
    let groups = groups::resolve(file.groups, report);
    let reasoning_families = models::families(file.reasoning_families, report);
    let upstream_raw = file.upstream.unwrap_or_default();
    let timeouts = upstream::timeouts(upstream_raw.timeouts.as_ref(), upstream::default_timeouts());
    let upstream = upstream::resolve(&upstream_raw, report);
    let mut models = models::resolve(file.models, &groups, &reasoning_families, timeouts, report);
    if models.is_empty() {
        models.extend(provider::model(environment, timeouts, report));
    }
    let default_model = models::default_model(file.default_model.as_deref(), &models, report);
    let access = access::resolve(file.access, &models, report);
    let listen = listen::resolve(file.listen.unwrap_or_default(), access.mode, report);
    let routing = stages::routing(file.routing.unwrap_or_default());
    let signals = signals::resolve(file.signals, &groups, &routing, report);
    let cache = stages::cache(file.cache.unwrap_or_default(), environment, report);
    let context = decisions::Context { signals: &signals, models: &models, cache: &cache };
    let decisions = decisions::resolve(file.decisions, &context, report);
    let (observability, origins) =
        observability::resolve(file.observability.unwrap_or_default(), environment, report);
    let drain = file.shutdown.and_then(|shutdown| shutdown.drain_seconds).unwrap_or(defaults::DRAIN_SECONDS);
    let settings = Settings {
        listen,
        access,
        models,
        default_model,
        groups,
        reasoning_families,
        signals,
        decisions,
        routing,
        upstream,
        cache,
        on_failure: stages::on_failure(&file.on_failure.unwrap_or_default()),
        responses: stages::responses(&file.responses.unwrap_or_default()),
        observability,
        drain: Duration::from_secs(drain),
    };
    (settings, origins)
}
