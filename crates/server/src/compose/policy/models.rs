//! Models and endpoints.

use std::sync::Arc;

use dialects::Dialect;
use pipeline::policy::{
    Address, Credentials, Endpoint, FamilySwitch, Model, PiiAllowance, Price, ReasoningFamily, Secret,
    Timeouts,
};
use settings::Settings;
use settings::check::models as setting;
use settings::check::vocabulary::PII_TYPES;

/// The provider of a model that names none: the engine that the router was made for.
const DEFAULT_PROVIDER: &str = "vllm";

/// The effort that is asked for when reasoning is switched on without one.
const DEFAULT_EFFORT: &str = "medium";

pub(super) fn models(settings: &Settings) -> Vec<Arc<Model>> {
    let families: Vec<Arc<ReasoningFamily>> =
        settings.reasoning_families.iter().map(|setting| Arc::new(family(setting))).collect();
    settings.models.iter().map(|setting| Arc::new(model(setting, &families))).collect()
}

fn model(model: &setting::Model, families: &[Arc<ReasoningFamily>]) -> Model {
    Model {
        name: Arc::from(model.name.as_str()),
        upstream_name: Arc::from(model.upstream_name.as_str()),
        category: model.category.as_ref().map(|category| Arc::from(category.name.as_str())),
        provider: Arc::from(model.provider.as_deref().unwrap_or(DEFAULT_PROVIDER)),
        version: model.version.as_deref().map(Arc::from),
        endpoints: model.endpoints.iter().map(|endpoint| Arc::new(self::endpoint(endpoint, model))).collect(),
        context_length: model.context_length,
        price: model.pricing.map(|price| Price {
            prompt: price.prompt,
            cached: Some(price.cached),
            completion: price.completion,
        }),
        reasoning_family: model.reasoning_family.and_then(|index| families.get(index.0)).cloned(),
        pii: pii(&model.denied_pii),
        any_model: model.endpoints.iter().any(|endpoint| endpoint.any_model),
    }
}

fn pii(denied: &[&'static str]) -> PiiAllowance {
    if denied.is_empty() {
        return PiiAllowance::Everything;
    }
    PiiAllowance::Only(PII_TYPES.into_iter().filter(|kind| !denied.contains(kind)).collect())
}

fn endpoint(endpoint: &setting::Endpoint, model: &setting::Model) -> Endpoint {
    let limit = endpoint.max_parallel.into_iter().chain(model.max_parallel).min();
    Endpoint {
        name: Arc::from(endpoint.name.as_str()),
        address: Address {
            origin: Arc::from(endpoint.origin()),
            tls: endpoint.scheme == setting::Scheme::Https,
            host: Arc::from(endpoint.host.as_str()),
            port: endpoint.port,
        },
        path_prefix: Arc::from(endpoint.path_prefix.as_str()),
        weight: endpoint.weight,
        max_parallel: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        timeouts: Timeouts {
            connect: model.timeouts.connect,
            first_token: model.timeouts.first_token,
            idle: model.timeouts.idle,
            total: model.timeouts.total,
        },
        credentials: match &endpoint.credentials {
            setting::Credentials::None => Credentials::None,
            setting::Credentials::Key(key) => Credentials::Key(Secret::new(key.reveal())),
            setting::Credentials::Passthrough => Credentials::Passthrough,
        },
        headers: endpoint
            .headers
            .iter()
            .map(|(name, value)| (Arc::from(name.as_str()), Secret::new(value.reveal())))
            .collect(),
        dialects: model.dialects.iter().filter_map(|dialect| spoken(*dialect)).collect(),
        internal: endpoint.internal,
        ask_usage: model.usage == setting::Usage::Ask,
    }
}

/// The dialects that this version reads; the others are known words without an effect yet.
fn spoken(dialect: setting::Dialect) -> Option<Dialect> {
    match dialect {
        setting::Dialect::ChatCompletions => Some(Dialect::ChatCompletions),
        setting::Dialect::Completions => Some(Dialect::Completions),
        setting::Dialect::Embeddings => Some(Dialect::Embeddings),
        _ => None,
    }
}

fn family(family: &setting::ReasoningFamily) -> ReasoningFamily {
    let path = family.parameter.clone();
    ReasoningFamily {
        name: Arc::from(family.name.as_str()),
        switch: match family.kind {
            setting::FamilyKind::Switch => FamilySwitch::Member { path, on: true.into(), off: false.into() },
            setting::FamilyKind::Effort => FamilySwitch::Effort { path, default: Arc::from(DEFAULT_EFFORT) },
        },
    }
}
