//! Which model a conversation has. Bounded by entries; a conversation that rests for long enough is forgotten.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use pipeline::ports::{ConversationKey, Conversations};

use crate::Clock;

/// Longer names are not remembered: they come from clients and no configuration has them.
const MAX_NAME_BYTES: usize = 512;

/// Bounds of [`EmbeddedConversations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationConfig {
    /// Most conversations; at least 1.
    pub max_entries: u64,
    /// How long one is remembered after its last turn.
    pub ttl: Duration,
}

impl Default for ConversationConfig {
    fn default() -> ConversationConfig {
        ConversationConfig { max_entries: 100_000, ttl: Duration::from_secs(3600) }
    }
}

/// Conversations in this process's memory.
pub struct EmbeddedConversations {
    config: ConversationConfig,
    models: Cache<ConversationKey, Turn>,
    clock: Clock,
}

#[derive(Clone)]
struct Turn {
    model: Arc<str>,
    at: Instant,
}

impl EmbeddedConversations {
    /// Remembers nothing yet.
    pub fn new(config: ConversationConfig) -> EmbeddedConversations {
        EmbeddedConversations::with_clock(config, Arc::new(Instant::now))
    }

    /// With another clock, for tests. It decides what is handed out; memory is given back by the clock of the machine.
    pub fn with_clock(config: ConversationConfig, clock: Clock) -> EmbeddedConversations {
        let models = Cache::builder()
            .max_capacity(config.max_entries.max(1))
            .time_to_live(moka_ttl(config.ttl))
            .build();
        EmbeddedConversations { config, models, clock }
    }

    /// The bounds that it was made with.
    pub fn config(&self) -> ConversationConfig {
        self.config
    }

    /// Conversations remembered now; some may be too old and not yet removed.
    pub fn len(&self) -> u64 {
        self.models.run_pending_tasks();
        self.models.entry_count()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Conversations for EmbeddedConversations {
    fn model_of(&self, key: ConversationKey) -> Option<Arc<str>> {
        let turn = self.models.get(&key)?;
        let age = (self.clock)().saturating_duration_since(turn.at);
        (age < self.config.ttl).then_some(turn.model)
    }

    fn remember(&self, key: ConversationKey, model: &Arc<str>) {
        if model.len() <= MAX_NAME_BYTES {
            self.models.insert(key, Turn { model: Arc::clone(model), at: (self.clock)() });
        }
    }
}

impl fmt::Debug for EmbeddedConversations {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EmbeddedConversations").field("config", &self.config).finish_non_exhaustive()
    }
}

/// moka refuses times above a thousand years, which is as good as for ever.
fn moka_ttl(ttl: Duration) -> Duration {
    ttl.min(Duration::from_secs(100 * 365 * 24 * 3600))
}
