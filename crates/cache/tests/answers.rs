//! What is remembered, for how long, and how much of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache::{AnswerCacheConfig, ConversationConfig, EmbeddedCache, EmbeddedConversations};
use pipeline::ports::{
    AnswerCache, CacheHit, CacheKey, ConversationKey, Conversations, PortFuture, StoredAnswer,
};
use proptest::prelude::*;
use trace::propagation::{TraceContext, TraceFlags};
use trace::{SpanId, TraceId};

const TTL: Duration = Duration::from_secs(3600);

/// Answers a future of the embedded cache, which never has to be waited for.
fn now<T>(mut future: PortFuture<'_, T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(Ok(value)) => value,
        std::task::Poll::Ready(Err(failure)) => panic!("{failure:?}"),
        std::task::Poll::Pending => panic!("the embedded cache made its caller wait"),
    }
}

fn key(number: u32) -> CacheKey {
    let mut exact = [0; 32];
    exact[..4].copy_from_slice(&number.to_le_bytes());
    CacheKey { partition: [7; 32], exact }
}

fn origin() -> TraceContext {
    let (trace, span) = (TraceId::from_bytes([1; 16]).unwrap(), SpanId::from_bytes([2; 8]).unwrap());
    TraceContext::new(trace, span, TraceFlags::new(true, true))
}

fn answer(body: impl Into<Bytes>) -> StoredAnswer {
    StoredAnswer { body: body.into(), model: Arc::from("m"), origin: origin() }
}

fn store(cache: &EmbeddedCache, number: u32, body: &str) {
    now(cache.store(key(number), answer(body.to_owned()), TTL));
}

fn lookup(cache: &EmbeddedCache, number: u32) -> Option<CacheHit> {
    now(cache.lookup(&key(number)))
}

fn body_of(cache: &EmbeddedCache, number: u32) -> Option<Bytes> {
    lookup(cache, number).map(|hit| hit.answer.body)
}

/// A clock that stands until it is told to go on.
fn clock() -> (cache::Clock, impl Fn(Duration)) {
    let time = Arc::new(Mutex::new(Instant::now()));
    let read = Arc::clone(&time);
    (Arc::new(move || *read.lock().unwrap()), move |passed| *time.lock().unwrap() += passed)
}

fn small() -> AnswerCacheConfig {
    AnswerCacheConfig { max_entries: 50, max_bytes: 64 * 1024 }
}

#[test]
fn an_answer_comes_back_whole_and_with_its_age() {
    let (clock, pass) = clock();
    let cache = EmbeddedCache::with_clock(small(), clock);
    assert!(lookup(&cache, 1).is_none());
    store(&cache, 1, "{\"id\":1}");
    pass(Duration::from_millis(1500));
    let hit = lookup(&cache, 1).unwrap();
    assert_eq!(hit.answer.body, "{\"id\":1}");
    assert_eq!(&*hit.answer.model, "m");
    assert_eq!(hit.answer.origin, origin());
    assert_eq!(hit.age, Duration::from_millis(1500));
    assert!((hit.similarity - 1.0).abs() < f32::EPSILON);
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.hits, stats.misses), (1, 1, 1));
}

#[test]
fn an_answer_is_forgotten_when_its_time_has_passed() {
    let (clock, pass) = clock();
    let cache = EmbeddedCache::with_clock(small(), clock);
    now(cache.store(key(1), answer("short"), Duration::from_secs(10)));
    now(cache.store(key(2), answer("long"), Duration::from_secs(20)));
    pass(Duration::from_millis(9_999));
    assert!(lookup(&cache, 1).is_some());
    pass(Duration::from_millis(1));
    assert!(lookup(&cache, 1).is_none());
    assert!(lookup(&cache, 2).is_some());
}

#[test]
fn an_answer_that_replaces_another_has_a_life_of_its_own() {
    let (clock, pass) = clock();
    let cache = EmbeddedCache::with_clock(small(), clock);
    now(cache.store(key(1), answer("old"), Duration::from_secs(10)));
    pass(Duration::from_secs(9));
    now(cache.store(key(1), answer("new"), Duration::from_secs(10)));
    pass(Duration::from_secs(9));
    assert_eq!(body_of(&cache, 1).unwrap(), "new");
    assert_eq!(cache.stats().entries, 1);
}

#[test]
fn different_keys_never_meet() {
    let cache = EmbeddedCache::new(small());
    let mut other_scope = key(1);
    other_scope.exact[31] = 1;
    store(&cache, 1, "for one");
    assert!(now(cache.lookup(&other_scope)).is_none());
    now(cache.store(other_scope, answer("for another"), TTL));
    assert_eq!(body_of(&cache, 1).unwrap(), "for one");
    assert_eq!(now(cache.lookup(&other_scope)).unwrap().answer.body, "for another");
}

#[test]
fn a_flood_of_small_answers_stays_within_the_entries() {
    let cache = EmbeddedCache::new(small());
    for number in 0..5_000 {
        store(&cache, number, "{}");
        if number % 500 == 0 {
            assert!(cache.stats().entries <= 50);
        }
    }
    let stats = cache.stats();
    assert!((40..=50).contains(&stats.entries), "{stats:?}");
    let found = (0..5_000).filter(|number| lookup(&cache, *number).is_some()).count();
    assert_eq!(u64::try_from(found).unwrap(), stats.entries);
}

#[test]
fn a_flood_of_large_answers_stays_within_the_bytes() {
    let cache = EmbeddedCache::new(small());
    let body = "x".repeat(10_000);
    for number in 0..500 {
        store(&cache, number, &body);
        assert!(cache.stats().bytes <= 64 * 1024, "{:?}", cache.stats());
    }
    assert_eq!(cache.stats().entries, 6);
}

#[test]
fn an_answer_larger_than_the_cache_is_not_kept_and_drives_nothing_out() {
    let cache = EmbeddedCache::new(small());
    store(&cache, 1, "small");
    store(&cache, 2, &"x".repeat(65 * 1024));
    assert!(lookup(&cache, 2).is_none());
    assert!(lookup(&cache, 1).is_some());
    assert_eq!(cache.stats().entries, 1);
}

#[test]
fn clearing_forgets_everything_and_gives_the_bytes_back() {
    let cache = EmbeddedCache::new(small());
    (0..20).for_each(|number| store(&cache, number, "{}"));
    assert!(cache.stats().bytes > 0);
    cache.clear();
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.bytes), (0, 0));
    assert!((0..20).all(|number| lookup(&cache, number).is_none()));
    store(&cache, 3, "again");
    assert!(lookup(&cache, 3).is_some());
}

#[test]
fn threads_that_store_at_once_stay_within_the_bounds() {
    let cache = EmbeddedCache::new(small());
    let body = "x".repeat(3_000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (cache, body) = (&cache, &body);
            scope.spawn(move || (0..300).for_each(|number| store(cache, thread * 300 + number, body)));
        }
    });
    let stats = cache.stats();
    assert!(stats.bytes <= 64 * 1024 && stats.entries >= 15, "{stats:?}");
}

#[test]
fn a_conversation_keeps_its_last_model_for_its_time() {
    let (clock, pass) = clock();
    let config = ConversationConfig { max_entries: 10, ttl: Duration::from_secs(60) };
    let conversations = EmbeddedConversations::with_clock(config, clock);
    let (one, other) = (ConversationKey([1; 16]), ConversationKey([2; 16]));
    assert_eq!(conversations.model_of(one), None);
    conversations.remember(one, &Arc::from("small"));
    pass(Duration::from_secs(59));
    conversations.remember(one, &Arc::from("large"));
    pass(Duration::from_secs(59));
    assert_eq!(conversations.model_of(one).as_deref(), Some("large"));
    assert_eq!(conversations.model_of(other), None);
    pass(Duration::from_secs(1));
    assert_eq!(conversations.model_of(one), None);
}

#[test]
fn a_flood_of_conversations_stays_within_the_entries() {
    let config = ConversationConfig { max_entries: 100, ttl: TTL };
    let conversations = EmbeddedConversations::new(config);
    let model = Arc::from("m");
    for number in 0_u32..10_000 {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&number.to_le_bytes());
        conversations.remember(ConversationKey(key), &model);
    }
    assert!((80..=100).contains(&conversations.len()), "{}", conversations.len());
    conversations.remember(ConversationKey([9; 16]), &Arc::from("x".repeat(10_000)));
    assert_eq!(conversations.model_of(ConversationKey([9; 16])), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_found_was_stored_last_and_the_bounds_hold(
        stores in prop::collection::vec((0_u32..40, 0_usize..4_000), 1..120),
    ) {
        let cache = EmbeddedCache::new(AnswerCacheConfig { max_entries: 16, max_bytes: 32 * 1024 });
        let mut last = std::collections::HashMap::new();
        for (number, length) in stores {
            store(&cache, number, &"x".repeat(length));
            last.insert(number, length);
            let stats = cache.stats();
            prop_assert!(stats.entries <= 16 && stats.bytes <= 32 * 1024, "{stats:?}");
        }
        for (number, length) in last {
            let found = body_of(&cache, number).map(|body| body.len());
            prop_assert!(found.is_none_or(|found| found == length));
        }
    }
}
