//! What was answered before, in this process's memory: answers by exact key, and the models of conversations.
//!
//! Both implement ports of the pipeline. Who may see an answer is part of the key that the pipeline makes, so that
//! nothing here knows principals or scopes. Invariant: neither grows past its bounds, and what is too old is not handed
//! out, whatever the eviction behind them does.

mod answers;
mod conversations;

use std::sync::Arc;
use std::time::Instant;

pub use answers::{AnswerCacheConfig, AnswerCacheStats, EmbeddedCache};
pub use conversations::{ConversationConfig, EmbeddedConversations};

/// The time, as a cache sees it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;
