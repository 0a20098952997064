//! Composition: the only place that sees settings and builds what the other crates need from them.

pub(crate) mod application;
pub(crate) mod certificates;
pub(crate) mod doors;
pub(crate) mod exits;
pub(crate) mod operations;
pub(crate) mod policy;

use std::sync::Arc;

use cache::{AnswerCacheConfig, ConversationConfig, EmbeddedCache, EmbeddedConversations};
use inference::ports::{Domains, Jailbreaks, Pii};
use pipeline::Pipeline;
use pipeline::policy::Policy;
use pipeline::ports::Ports;
use settings::Settings;
use upstream::{BalanceConfig, Pool, RetryBudgetConfig, Strategy};

/// What outlives a reload: the cache, health and permits of endpoints, the models that classify.
pub(crate) struct Resources {
    /// Chooses endpoints.
    pub(crate) pool: Arc<Pool>,
    /// Remembers answers.
    pub(crate) cache: Arc<EmbeddedCache>,
    ports: Ports,
}

impl Resources {
    /// Makes all of them.
    pub(crate) fn new(settings: &Settings) -> Resources {
        let pool = Arc::new(Pool::new(balance(settings)));
        let cache = Arc::new(EmbeddedCache::new(AnswerCacheConfig {
            max_entries: settings.cache.max_entries,
            max_bytes: settings.cache.max_bytes,
        }));
        let conversations = EmbeddedConversations::new(ConversationConfig::default());
        let ports = Ports {
            domain: Arc::new(Domains::load()),
            jailbreak: Arc::new(Jailbreaks::load()),
            pii: Arc::new(Pii::load()),
            cache: Arc::clone(&cache) as Arc<dyn pipeline::ports::AnswerCache>,
            conversations: Arc::new(conversations),
            backends: Arc::clone(&pool) as Arc<dyn pipeline::ports::Backends>,
        };
        Resources { pool, cache, ports }
    }
}

/// A pipeline of a policy over the resources.
pub(crate) fn pipeline(policy: Policy, resources: &Resources) -> Pipeline {
    resources.pool.retain(&policy);
    Pipeline::new(policy, resources.ports.clone())
}

/// How endpoints are chosen.
pub(crate) fn balance(settings: &Settings) -> BalanceConfig {
    let upstream = &settings.upstream;
    BalanceConfig {
        strategy: Strategy::Automatic,
        eject_after_failures: upstream.eject_after_failures,
        eject_for: upstream.eject_for,
        retry_budget: RetryBudgetConfig {
            ratio: upstream.retry_budget.ratio,
            min_per_second: upstream.retry_budget.min_per_second,
        },
    }
}
