//! What operators see and change through the admin door.

use std::sync::Arc;

use gateway::admin::{Operations, Reloaded as AdminReloaded};
use pipeline::policy::{Action, Policy};
use pipeline::ports::AnswerCache;
use serde_json::{Value, json};
use upstream::EndpointStatus;

use super::application::{Application, Reloaded};

/// The application, for its operators.
pub(crate) struct ForOperators(pub(crate) Arc<Application>);

impl Operations for ForOperators {
    fn backends(&self) -> Vec<EndpointStatus> {
        self.0.resources.pool.status()
    }

    fn cache(&self) -> Value {
        let cache = &self.0.resources.cache;
        let (stats, bounds) = (cache.stats(), cache.config());
        json!({
            "backend": cache.backend(),
            "entries": stats.entries,
            "max_entries": bounds.max_entries,
            "bytes": stats.bytes,
            "max_bytes": bounds.max_bytes,
            "hits": stats.hits,
            "misses": stats.misses,
        })
    }

    fn clear_cache(&self) -> Result<Option<u64>, String> {
        let entries = self.0.resources.cache.stats().entries;
        self.0.resources.cache.clear();
        Ok(Some(entries))
    }

    fn config(&self) -> Value {
        summary(&self.0.pipeline.load().policy)
    }

    fn reload(&self) -> Result<AdminReloaded, Vec<String>> {
        let reloaded =
            self.0.reload().map_err(|problems| problems.lines().map(str::to_owned).collect::<Vec<_>>())?;
        let needs_restart = match reloaded {
            Reloaded::Unchanged => Vec::new(),
            Reloaded::Swapped { needs_restart, .. } => needs_restart.into_iter().map(str::to_owned).collect(),
        };
        let config_version = Arc::clone(&self.0.pipeline.load().policy.version);
        Ok(AdminReloaded { config_version, needs_restart })
    }
}

/// The policy in force: names and addresses, never credentials.
fn summary(policy: &Policy) -> Value {
    let models = policy.models.iter().map(|model| {
        let endpoints = model.endpoints.iter().map(|endpoint| {
            json!({"name": endpoint.name, "address": endpoint.address.origin, "weight": endpoint.weight})
        });
        json!({
            "name": model.name,
            "category": model.category,
            "provider": model.provider,
            "reasoning_family": model.reasoning_family.as_ref().map(|family| Arc::clone(&family.name)),
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    });
    let decisions = policy.decisions.iter().map(|decision| {
        let action = match &decision.action {
            Action::Route(_) => "route",
            Action::Block(_) => "block",
            Action::Mask(_) => "mask",
        };
        json!({"name": decision.name, "action": action})
    });
    json!({
        "version": policy.version,
        "models": models.collect::<Vec<_>>(),
        "default_model": policy.default_model.and_then(|index| policy.models.get(index)).map(|model| Arc::clone(&model.name)),
        "signals": policy.signals.iter().map(|signal| Arc::clone(&signal.name)).collect::<Vec<_>>(),
        "decisions": decisions.collect::<Vec<_>>(),
    })
}
