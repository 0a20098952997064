//! Which endpoint is chosen, when one is left out, and how many retries there are.

use std::collections::HashMap;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use dialects::Dialect;
use pipeline::policy::{Endpoint, Model, PiiAllowance};
use pipeline::ports::{AttemptReport, Backends, NoneAvailable, Selected};
use proptest::prelude::*;
use upstream::{BalanceConfig, Pool, RetryBudgetConfig, Strategy};

use crate::support;

const CHAT: Dialect = Dialect::ChatCompletions;
const EJECT_FOR: Duration = Duration::from_secs(10);

/// A pool whose clock stands until it is told to go on.
struct Tested {
    pool: Pool,
    now: Arc<Mutex<Instant>>,
}

impl Tested {
    fn with(config: BalanceConfig) -> Tested {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        Tested { pool: Pool::with_clock(config, Arc::new(move || *clock.lock().unwrap())), now }
    }

    fn new() -> Tested {
        let config =
            BalanceConfig { eject_after_failures: 3, eject_for: EJECT_FOR, ..BalanceConfig::default() };
        Tested::with(config)
    }

    fn pass(&self, time: Duration) {
        *self.now.lock().unwrap() += time;
    }

    fn fail(&self, endpoint: &Endpoint, times: usize) {
        (0..times).for_each(|_| self.pool.report(endpoint, AttemptReport::Failed));
    }

    /// Name of the endpoint that takes an attempt which is over at once.
    fn taken_by(&self, model: &Model) -> String {
        self.pool.select(model, CHAT, &[]).unwrap().endpoint.name.to_string()
    }

    /// How many of `attempts` attempts, each over at once, each endpoint takes.
    fn shares(&self, model: &Model, attempts: usize) -> HashMap<String, usize> {
        let mut shares = HashMap::new();
        (0..attempts).for_each(|_| *shares.entry(self.taken_by(model)).or_default() += 1);
        shares
    }
}

fn endpoint(name: &str, weight: u32) -> Endpoint {
    let mut endpoint = support::endpoint("http", "127.0.0.1", 8000);
    endpoint.name = Arc::from(name);
    endpoint.weight = weight;
    endpoint
}

fn model(endpoints: impl IntoIterator<Item = Endpoint>) -> Model {
    Model {
        name: Arc::from("m"),
        upstream_name: Arc::from("m"),
        category: None,
        provider: Arc::from("vllm"),
        version: None,
        endpoints: endpoints.into_iter().map(Arc::new).collect(),
        context_length: None,
        price: None,
        reasoning_family: None,
        pii: PiiAllowance::Everything,
        any_model: false,
    }
}

fn excluded(selected: &Selected) -> Vec<(&str, &str)> {
    selected.excluded.iter().map(|(name, reason)| (&**name, *reason)).collect()
}

fn refused(none: &NoneAvailable) -> Vec<(&str, &str)> {
    none.excluded.iter().map(|(name, reason)| (&**name, *reason)).collect()
}

#[test]
fn equal_weights_go_to_the_least_busy() {
    let tested = Tested::new();
    let model = model([endpoint("a", 1), endpoint("b", 1), endpoint("c", 1)]);
    let mut in_flight: Vec<Selected> =
        (0..9).map(|_| tested.pool.select(&model, CHAT, &[]).unwrap()).collect();
    assert!(in_flight.iter().all(|selected| selected.strategy == "least_busy" && selected.candidates == 3));
    assert!(tested.pool.status().iter().all(|endpoint| endpoint.in_flight == 3));

    in_flight.retain(|selected| &*selected.endpoint.name != "b");
    for _ in 0..3 {
        let selected = tested.pool.select(&model, CHAT, &[]).unwrap();
        assert_eq!(&*selected.endpoint.name, "b");
        in_flight.push(selected);
    }
}

#[test]
fn idle_equals_take_turns() {
    let tested = Tested::new();
    let model = model([endpoint("a", 1), endpoint("b", 1)]);
    let shares = tested.shares(&model, 1000);
    assert!(shares.values().all(|share| share.abs_diff(500) <= 5), "{shares:?}");
}

#[test]
fn different_weights_are_shares() {
    let tested = Tested::new();
    let model = model([endpoint("a", 90), endpoint("b", 10), endpoint("c", 0)]);
    let shares = tested.shares(&model, 1000);
    assert_eq!(shares.len(), 2);
    assert!(shares["a"].abs_diff(900) <= 5 && shares["b"].abs_diff(100) <= 5, "{shares:?}");
    let selected = tested.pool.select(&model, CHAT, &[]).unwrap();
    assert_eq!((selected.strategy, selected.candidates), ("weighted", 2));
    assert_eq!(excluded(&selected), [("c", "weight_zero")]);
}

#[test]
fn least_busy_by_setting_counts_attempts_per_weight() {
    let config = BalanceConfig { strategy: Strategy::LeastBusy, ..BalanceConfig::default() };
    let tested = Tested::with(config);
    let model = model([endpoint("large", 3), endpoint("small", 1)]);
    let held: Vec<Selected> = (0..8).map(|_| tested.pool.select(&model, CHAT, &[]).unwrap()).collect();
    let large = held.iter().filter(|selected| &*selected.endpoint.name == "large").count();
    assert_eq!(large, 6);
}

#[test]
fn weight_zero_is_used_where_nothing_else_is() {
    let tested = Tested::new();
    assert_eq!(tested.taken_by(&model([endpoint("only", 0)])), "only");
    let shares = tested.shares(&model([endpoint("a", 0), endpoint("b", 0)]), 100);
    assert_eq!(shares.len(), 2);
}

#[test]
fn the_dialect_and_what_was_tried_exclude() {
    let tested = Tested::new();
    let mut other = endpoint("other", 1);
    other.dialects = vec![Dialect::Embeddings];
    let model = model([endpoint("a", 1), endpoint("b", 1), other]);
    let selected = tested.pool.select(&model, CHAT, &[Arc::from("a")]).unwrap();
    assert_eq!(&*selected.endpoint.name, "b");
    assert_eq!(excluded(&selected), [("a", "tried"), ("other", "dialect")]);
    let none = tested.pool.select(&model, CHAT, &[Arc::from("a"), Arc::from("b")]).unwrap_err();
    assert_eq!(refused(&none), [("a", "tried"), ("b", "tried"), ("other", "dialect")]);
}

#[test]
fn capacity_is_given_back_when_an_attempt_ends() {
    let tested = Tested::new();
    let mut narrow = endpoint("narrow", 1);
    narrow.max_parallel = Some(2);
    let model = model([narrow]);
    let first = tested.pool.select(&model, CHAT, &[]).unwrap();
    let _second = tested.pool.select(&model, CHAT, &[]).unwrap();
    assert_eq!(refused(&tested.pool.select(&model, CHAT, &[]).unwrap_err()), [("narrow", "busy")]);
    drop(first);
    assert!(tested.pool.select(&model, CHAT, &[]).is_ok());
}

#[test]
fn capacity_is_never_exceeded_by_threads_that_select_at_once() {
    let tested = Tested::new();
    let narrow = |name| {
        let mut endpoint = endpoint(name, 1);
        endpoint.max_parallel = Some(5);
        endpoint
    };
    let model = model([narrow("a"), narrow("b")]);
    let start = Barrier::new(8);
    let select = || {
        start.wait();
        (0..4).filter_map(|_| tested.pool.select(&model, CHAT, &[]).ok()).collect::<Vec<_>>()
    };
    let held: Vec<Selected> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(select)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(held.len(), 10);
    assert!(tested.pool.status().iter().all(|endpoint| endpoint.in_flight == 5));
}

#[test]
fn failures_in_a_row_eject_and_an_answer_forgives() {
    let tested = Tested::new();
    let model = model([endpoint("good", 1), endpoint("bad", 1)]);
    let bad = &model.endpoints[1];
    tested.shares(&model, 2);
    tested.fail(bad, 2);
    tested.pool.report(bad, AttemptReport::Answered);
    tested.fail(bad, 2);
    assert_eq!(tested.shares(&model, 10).len(), 2, "not three in a row");

    tested.fail(bad, 1);
    let selected = tested.pool.select(&model, CHAT, &[]).unwrap();
    assert_eq!(excluded(&selected), [("bad", "ejected")]);
    let shares = tested.shares(&model, 50);
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["good"]);
    let status = tested.pool.status();
    assert_eq!((&*status[0].name, status[0].consecutive_failures), ("bad", 3));
    assert!(status[0].is_known_dead() && !status[1].is_known_dead());
}

#[test]
fn after_an_ejection_one_trial_decides() {
    let tested = Tested::new();
    let model = model([endpoint("good", 1), endpoint("bad", 1)]);
    let bad = &model.endpoints[1];
    tested.shares(&model, 2);
    tested.fail(bad, 3);

    tested.pass(EJECT_FOR);
    assert_eq!(tested.shares(&model, 100)["bad"], 1, "one trial, whose outcome is not known");
    tested.fail(bad, 1);
    tested.pass(EJECT_FOR - Duration::from_millis(1));
    assert!(!tested.shares(&model, 100).contains_key("bad"), "the trial failed");

    tested.pass(Duration::from_millis(1));
    assert_eq!(tested.shares(&model, 100)["bad"], 1);
    tested.pool.report(bad, AttemptReport::Answered);
    assert!(tested.shares(&model, 100)["bad"] >= 45, "the trial succeeded");
}

#[test]
fn a_trial_of_which_nothing_is_heard_is_followed_by_another() {
    let tested = Tested::new();
    let model = model([endpoint("good", 1), endpoint("bad", 1)]);
    tested.shares(&model, 2);
    tested.fail(&model.endpoints[1], 3);
    for _ in 0..3 {
        tested.pass(EJECT_FOR);
        assert_eq!(tested.shares(&model, 100)["bad"], 1);
    }
}

#[test]
fn where_all_are_ejected_all_are_used() {
    let tested = Tested::new();
    let model = model([endpoint("a", 1), endpoint("b", 1)]);
    tested.shares(&model, 2);
    model.endpoints.iter().for_each(|endpoint| tested.fail(endpoint, 3));
    assert!(!tested.pool.has_live_endpoint());
    assert_eq!(tested.shares(&model, 10).len(), 2);
    // Also when one of them was tried: the other one may do better than a refusal.
    assert!(tested.pool.select(&model, CHAT, &[Arc::from("a")]).is_ok());
}

#[test]
fn an_ejected_endpoint_is_not_tried_after_one_that_is_not_ejected() {
    let tested = Tested::new();
    let model = model([endpoint("a", 1), endpoint("b", 1)]);
    tested.shares(&model, 2);
    tested.fail(&model.endpoints[1], 3);
    let none = tested.pool.select(&model, CHAT, &[Arc::from("a")]).unwrap_err();
    assert_eq!(refused(&none), [("a", "tried"), ("b", "ejected")]);
}

#[test]
fn health_belongs_to_a_name_and_an_origin() {
    let tested = Tested::new();
    let before = model([endpoint("a", 1)]);
    let mut moved = endpoint("a", 1);
    moved.address.origin = Arc::from("http://127.0.0.1:9000");
    let after = model([moved]);
    tested.shares(&before, 1);
    tested.fail(&before.endpoints[0], 3);
    assert!(!tested.pool.has_live_endpoint());
    tested.shares(&after, 1);
    assert!(tested.pool.has_live_endpoint());
    assert_eq!(tested.pool.status().len(), 2);
}

#[test]
fn a_reload_keeps_what_is_known_and_forgets_what_is_gone() {
    let tested = Tested::new();
    let before = model([endpoint("stays", 1), endpoint("goes", 1)]);
    tested.pool.retain_models(&[Arc::new(model([endpoint("stays", 1), endpoint("goes", 1)]))]);
    let names = || tested.pool.status().iter().map(|endpoint| endpoint.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(), ["goes", "stays"]);
    let held = tested.pool.select(&before, CHAT, &[Arc::from("goes")]).unwrap();
    tested.fail(&before.endpoints[0], 3);
    tested.fail(&before.endpoints[1], 3);

    tested.pool.retain_models(&[Arc::new(model([endpoint("stays", 1), endpoint("comes", 1)]))]);
    assert_eq!(names(), ["comes", "stays"]);
    let status = tested.pool.status();
    assert!(status[1].is_known_dead() && !status[0].is_known_dead());
    assert_eq!(status[1].in_flight, 1);
    drop(held);
    assert_eq!(tested.pool.status()[1].in_flight, 0);
    tested.pool.report(&before.endpoints[1], AttemptReport::Failed);
    assert_eq!(names(), ["comes", "stays"], "a late report brings nothing back");
}

#[test]
fn requests_earn_retries_and_retries_earn_none() {
    let config = BalanceConfig {
        retry_budget: RetryBudgetConfig { ratio: 0.1, min_per_second: 0 },
        ..BalanceConfig::default()
    };
    let tested = Tested::with(config);
    let model = model([endpoint("a", 1), endpoint("b", 1)]);
    assert!(!tested.pool.may_retry());
    tested.shares(&model, 21);
    for _ in 0..50 {
        drop(tested.pool.select(&model, CHAT, &[Arc::from("a")]).unwrap());
    }
    assert!(tested.pool.may_retry() && tested.pool.may_retry());
    assert!(!tested.pool.may_retry());
}

#[test]
fn new_settings_of_the_budget_apply() {
    let none = RetryBudgetConfig { ratio: 0.0, min_per_second: 0 };
    let tested = Tested::with(BalanceConfig { retry_budget: none, ..BalanceConfig::default() });
    assert!(!tested.pool.may_retry());
    tested.pool.configure(BalanceConfig::default());
    assert!(tested.pool.may_retry());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_follow_any_weights(weights in prop::collection::vec(1_u32..100, 2..6)) {
        let tested = Tested::with(BalanceConfig { strategy: Strategy::Weighted, ..BalanceConfig::default() });
        let model = model(weights.iter().enumerate().map(|(index, weight)| endpoint(&index.to_string(), *weight)));
        let shares = tested.shares(&model, 1000);
        let total: u32 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let expected = f64::from(*weight) / f64::from(total) * 1000.0;
            let share = shares.get(&index.to_string()).copied().unwrap_or(0);
            let share = f64::from(u32::try_from(share).unwrap());
            prop_assert!((share - expected).abs() <= 12.0, "{} of {:?} is {}", index, weights, share);
        }
    }
}
