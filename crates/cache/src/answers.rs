//! Remembered answers: an exact index, bounded by entries and by bytes.
//!
//! What is kept when it is full is decided by how often a key is asked for (moka's TinyLFU), so that a flood of prompts
//! that nobody repeats does not push out those that are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::sync::Cache;
use pipeline::ports::{AnswerCache, CacheHit, CacheKey, PortFuture, StoredAnswer};

use crate::Clock;

/// What an entry takes besides its texts: key, bookkeeping of the index, allocations. An estimate.
const ENTRY_OVERHEAD_BYTES: u64 = 256;

/// Bounds of an [`EmbeddedCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerCacheConfig {
    /// Most answers; at least 1.
    pub max_entries: u64,
    /// Most bytes, of all entries together; an answer that is larger is not kept.
    pub max_bytes: u64,
}

impl Default for AnswerCacheConfig {
    fn default() -> AnswerCacheConfig {
        AnswerCacheConfig { max_entries: 10_000, max_bytes: 64 * 1024 * 1024 }
    }
}

/// Figures for the admin API and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerCacheStats {
    /// Answers kept now; some may be too old and not yet removed.
    pub entries: u64,
    /// Their bytes, with an estimate of what keeping them costs.
    pub bytes: u64,
    /// Lookups that found an answer, since the start.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
}

/// Answers in this process's memory.
pub struct EmbeddedCache {
    config: AnswerCacheConfig,
    entries: Cache<[u8; 32], Entry>,
    bytes: Arc<AtomicU64>,
    hits: AtomicU64,
    misses: AtomicU64,
    clock: Clock,
}

#[derive(Clone)]
struct Entry {
    answer: StoredAnswer,
    stored_at: Instant,
    ttl: Duration,
}

impl EmbeddedCache {
    /// An empty cache.
    pub fn new(config: AnswerCacheConfig) -> EmbeddedCache {
        EmbeddedCache::with_clock(config, Arc::new(Instant::now))
    }

    /// An empty cache with another clock, for tests. It decides what is handed out and how old that is; memory is
    /// given back by the clock of the machine.
    pub fn with_clock(config: AnswerCacheConfig, clock: Clock) -> EmbeddedCache {
        let bytes = Arc::new(AtomicU64::new(0));
        let removed = Arc::clone(&bytes);
        let weights = Weights::of(config);
        let entries = Cache::builder()
            .max_capacity(weights.capacity)
            .weigher(move |_, entry: &Entry| weights.of_entry(entry.bytes()))
            .expire_after(TimeToLive)
            // Called once for each entry that leaves, also for one that was replaced or never admitted.
            .eviction_listener(move |_, entry: Entry, _| {
                removed.fetch_sub(entry.bytes(), Ordering::Relaxed);
            })
            .build();
        EmbeddedCache { config, entries, bytes, hits: AtomicU64::new(0), misses: AtomicU64::new(0), clock }
    }

    /// The bounds that it was made with.
    pub fn config(&self) -> AnswerCacheConfig {
        self.config
    }

    /// The figures of this moment.
    pub fn stats(&self) -> AnswerCacheStats {
        self.entries.run_pending_tasks();
        AnswerCacheStats {
            entries: self.entries.entry_count(),
            bytes: self.bytes.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    /// Forgets every answer.
    pub fn clear(&self) {
        self.entries.invalidate_all();
        self.entries.run_pending_tasks();
    }

    fn find(&self, key: &CacheKey) -> Option<CacheHit> {
        let entry = self.entries.get(&key.exact)?;
        let age = (self.clock)().saturating_duration_since(entry.stored_at);
        (age < entry.ttl).then_some(CacheHit { answer: entry.answer, age, similarity: 1.0 })
    }

    fn insert(&self, key: &CacheKey, mut answer: StoredAnswer, ttl: Duration) {
        // What is handed in may be a small part of a large buffer, which would be kept alive and not be counted.
        answer.body = Bytes::copy_from_slice(&answer.body);
        let entry = Entry { answer, stored_at: (self.clock)(), ttl };
        self.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
        self.entries.insert(key.exact, entry);
        // moka would evict some dozens of insertions later, which with large answers is past the bound.
        self.entries.run_pending_tasks();
    }
}

impl AnswerCache for EmbeddedCache {
    fn backend(&self) -> &'static str {
        "embedded"
    }

    fn lookup<'a>(&'a self, key: &'a CacheKey) -> PortFuture<'a, Option<CacheHit>> {
        let hit = self.find(key);
        let counter = if hit.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(hit)))
    }

    fn store<'a>(&'a self, key: CacheKey, answer: StoredAnswer, ttl: Duration) -> PortFuture<'a, ()> {
        self.insert(&key, answer, ttl);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl fmt::Debug for EmbeddedCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EmbeddedCache").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        let texts = self.answer.body.len() + self.answer.model.len();
        ENTRY_OVERHEAD_BYTES.saturating_add(u64::try_from(texts).unwrap_or(u64::MAX))
    }
}

/// Two bounds as one: an entry weighs its bytes, but at least its share of all bytes, so that no more entries fit than
/// there are shares. Weights are 32 bits wide; from 4 GiB on the unit is larger than a byte.
#[derive(Debug, Clone, Copy)]
struct Weights {
    unit_bytes: u64,
    share: u64,
    capacity: u64,
}

impl Weights {
    fn of(config: AnswerCacheConfig) -> Weights {
        let unit_bytes = config.max_bytes.div_ceil(u64::from(u32::MAX)).max(1);
        let capacity = config.max_bytes / unit_bytes;
        let share = capacity.div_ceil(config.max_entries.max(1)).max(1);
        Weights { unit_bytes, share, capacity }
    }

    fn of_entry(self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(self.unit_bytes).max(self.share)).unwrap_or(u32::MAX)
    }
}

/// Tells moka when an entry may go.
struct TimeToLive;

impl Expiry<[u8; 32], Entry> for TimeToLive {
    fn expire_after_create(&self, _: &[u8; 32], entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &[u8; 32],
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_fits_by_weight_fits_by_both_bounds(
            max_entries in 1_u64..1 << 40,
            max_bytes in 1_u64..1 << 50,
            bytes in 1_u64..1 << 36,
        ) {
            let weights = Weights::of(AnswerCacheConfig { max_entries, max_bytes });
            let fit = weights.capacity / u64::from(weights.of_entry(bytes));
            prop_assert!(fit <= max_entries);
            prop_assert!(u128::from(fit) * u128::from(bytes) <= u128::from(max_bytes));
        }
    }
}
