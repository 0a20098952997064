//! Which endpoint of a model takes an attempt, and how each of them has fared.
//!
//! State belongs to an endpoint's name and origin, not to a policy: a reload keeps it. Health is passive, learnt from
//! what became of attempts; nothing is sent only to find out. Invariant: an endpoint never has more attempts than
//! `max_parallel`, whoever selects at the same moment.

mod budget;
mod choice;
mod health;
mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dialects::Dialect;
use pipeline::policy::{Endpoint, Model, Policy};
use pipeline::ports::{AttemptReport, Backends, NoneAvailable, Permit, Selected};

use budget::RetryBudget;
use choice::{Candidate, Chance};
use health::EjectionLimits;
use state::{EndpointState, States};

/// The time, as the pool sees it.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How endpoints are chosen, left out and retried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BalanceConfig {
    /// How one is chosen among those that can take an attempt.
    pub strategy: Strategy,
    /// Failures in a row after which an endpoint is ejected; 0 means never.
    pub eject_after_failures: u32,
    /// For how long.
    pub eject_for: Duration,
    /// Bounds retries over all requests.
    pub retry_budget: RetryBudgetConfig,
}

/// How one endpoint is chosen among those that can take an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Weights that differ are shares that the operator asked for: weighted. Equal ones say nothing: least busy.
    #[default]
    Automatic,
    /// Each its share of the attempts, by weight.
    Weighted,
    /// The one with the fewest attempts in flight for its weight.
    LeastBusy,
}

/// How many retries there may be for how many requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudgetConfig {
    /// Retries per request, on average.
    pub ratio: f64,
    /// Retries per second that are always allowed.
    pub min_per_second: u32,
}

impl Default for BalanceConfig {
    fn default() -> BalanceConfig {
        BalanceConfig {
            strategy: Strategy::Automatic,
            eject_after_failures: 5,
            eject_for: Duration::from_secs(10),
            retry_budget: RetryBudgetConfig { ratio: 0.2, min_per_second: 10 },
        }
    }
}

/// One endpoint as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its name.
    pub name: Arc<str>,
    /// `scheme://host:port`.
    pub origin: Arc<str>,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Failures since the last answer.
    pub consecutive_failures: u32,
    /// Until when it is left out. In the past, if nothing has been heard of it since.
    pub ejected_until: Option<Instant>,
}

impl EndpointStatus {
    /// Whether it is known not to work: it was ejected and has not answered since.
    pub fn is_known_dead(&self) -> bool {
        self.ejected_until.is_some()
    }
}

/// All endpoints of all models. One pool lives as long as the process.
pub struct Pool {
    config: RwLock<BalanceConfig>,
    states: RwLock<States>,
    budget: Mutex<RetryBudget>,
    tickets: AtomicU64,
    clock: Clock,
}

impl Pool {
    /// A pool that knows no endpoint yet; it gets to know them by [`Pool::retain`] and by selecting.
    pub fn new(config: BalanceConfig) -> Pool {
        Pool::with_clock(config, Arc::new(Instant::now))
    }

    /// A pool with another clock, for tests.
    pub fn with_clock(config: BalanceConfig, clock: Clock) -> Pool {
        Pool {
            config: RwLock::new(config),
            states: RwLock::default(),
            budget: Mutex::new(RetryBudget::new(config.retry_budget, clock())),
            tickets: AtomicU64::new(0),
            clock,
        }
    }

    /// Takes new settings. Ejections under way keep their end; the retry budget starts anew if its settings changed.
    pub fn configure(&self, config: BalanceConfig) {
        let before =
            std::mem::replace(&mut *self.config.write().unwrap_or_else(PoisonError::into_inner), config);
        if before.retry_budget != config.retry_budget {
            let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
            *budget = RetryBudget::new(config.retry_budget, (self.clock)());
        }
    }

    /// Knows the endpoints of `policy` from now on, and no other. What was known of them stays.
    pub fn retain(&self, policy: &Policy) {
        self.retain_models(&policy.models);
    }

    /// [`Pool::retain`], for the endpoints of these models.
    pub fn retain_models(&self, models: &[Arc<Model>]) {
        let endpoints = || models.iter().flat_map(|model| &model.endpoints);
        let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
        states.retain(|state| endpoints().any(|endpoint| state.is_of(endpoint)));
        for endpoint in endpoints() {
            states.insert(endpoint);
        }
    }

    /// Every known endpoint, by name: for the admin API.
    pub fn status(&self) -> Vec<EndpointStatus> {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<EndpointStatus> = states.iter().map(|state| state.status()).collect();
        all.sort_by(|left, right| (&left.name, &left.origin).cmp(&(&right.name, &right.origin)));
        all
    }

    /// Whether one endpoint is not known to be dead: for `/ready`. False without any endpoint.
    pub fn has_live_endpoint(&self) -> bool {
        self.status().iter().any(|endpoint| !endpoint.is_known_dead())
    }

    fn config(&self) -> BalanceConfig {
        *self.config.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, endpoint: &Endpoint) -> Option<Arc<EndpointState>> {
        self.states.read().unwrap_or_else(PoisonError::into_inner).find(endpoint)
    }

    fn state(&self, endpoint: &Endpoint) -> Arc<EndpointState> {
        if let Some(state) = self.known(endpoint) {
            return state;
        }
        self.states.write().unwrap_or_else(PoisonError::into_inner).insert(endpoint)
    }

    /// The endpoints that can take an attempt now, and why the others cannot.
    fn candidates<'a>(
        &self,
        model: &'a Model,
        dialect: Dialect,
        tried: &[Arc<str>],
        now: Instant,
    ) -> (Vec<Candidate<'a>>, Vec<(Arc<str>, &'static str)>) {
        let speaks = |endpoint: &Endpoint| endpoint.dialects.contains(&dialect);
        let weighted = |endpoint: &Endpoint| speaks(endpoint) && endpoint.weight > 0;
        // Weight 0 takes an endpoint out of service, unless that would leave none.
        let any_weight = !model.endpoints.iter().any(|endpoint| weighted(endpoint));
        let mut candidates = Vec::with_capacity(model.endpoints.len());
        let mut excluded = Vec::new();
        // Whether every endpoint that could serve the model is ejected, tried ones included.
        let mut all_ejected = true;
        for endpoint in &model.endpoints {
            let reason = if !speaks(endpoint) {
                "dialect"
            } else if endpoint.weight == 0 && !any_weight {
                "weight_zero"
            } else {
                let state = self.state(endpoint);
                let ejected = state.is_ejected(now);
                all_ejected &= ejected;
                if !tried.contains(&endpoint.name) {
                    candidates.push(Candidate { endpoint, state, ejected });
                    continue;
                }
                "tried"
            };
            excluded.push((Arc::clone(&endpoint.name), reason));
        }
        if !all_ejected {
            exclude(&mut candidates, &mut excluded, "ejected", |candidate| candidate.ejected);
        }
        exclude(&mut candidates, &mut excluded, "busy", Candidate::is_busy);
        (candidates, excluded)
    }

    /// A number in [0, 1) that is different for each attempt: the fractional parts of multiples of the golden ratio,
    /// which fill the interval more evenly than chance does (Weyl 1916), also for every second or third of them.
    fn chance(&self) -> Chance {
        Chance::of_ticket(self.tickets.fetch_add(1, Ordering::Relaxed))
    }
}

impl Backends for Pool {
    /// Chooses an endpoint. Where every endpoint of the model that could answer is ejected, ejection is ignored: an
    /// attempt that may fail is better than a refusal that is sure. An endpoint whose ejection is over takes one
    /// attempt as a trial, and no other until that one has answered or the time of an ejection has passed again.
    fn select(&self, model: &Model, dialect: Dialect, tried: &[Arc<str>]) -> Result<Selected, NoneAvailable> {
        let now = (self.clock)();
        let config = self.config();
        let (mut candidates, mut excluded) = self.candidates(model, dialect, tried, now);
        let strategy = choice::resolve(config.strategy, &model.endpoints);
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        while let Some(index) = choice::choose(strategy, &candidates, self.chance()) {
            let Candidate { endpoint, state, .. } = candidates.swap_remove(index);
            let limit = endpoint.max_parallel.unwrap_or(usize::MAX);
            // Another request may have taken the last unit since the candidates were listed.
            let Some(permit) = Permit::take(&state.in_flight, limit) else {
                excluded.push((Arc::clone(&endpoint.name), "busy"));
                continue;
            };
            state.begin(now, config.eject_for);
            if tried.is_empty() {
                self.budget.lock().unwrap_or_else(PoisonError::into_inner).deposit();
            }
            let endpoint = Arc::clone(endpoint);
            return Ok(Selected { endpoint, permit, strategy: strategy.name(), candidates: count, excluded });
        }
        Err(NoneAvailable { strategy: strategy.name(), excluded })
    }

    fn report(&self, endpoint: &Endpoint, report: AttemptReport) {
        // An endpoint that a reload has removed has no health any more.
        let Some(state) = self.known(endpoint) else { return };
        let config = self.config();
        let limits =
            EjectionLimits { after_failures: config.eject_after_failures, lasting: config.eject_for };
        state.learn(report, limits, (self.clock)());
    }

    fn may_retry(&self) -> bool {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).withdraw((self.clock)())
    }
}

/// Moves the candidates that `applies` to over to the excluded ones.
fn exclude<'a>(
    candidates: &mut Vec<Candidate<'a>>,
    excluded: &mut Vec<(Arc<str>, &'static str)>,
    reason: &'static str,
    applies: impl Fn(&Candidate<'a>) -> bool,
) {
    candidates.retain(|candidate| {
        let applies = applies(candidate);
        if applies {
            excluded.push((Arc::clone(&candidate.endpoint.name), reason));
        }
        !applies
    });
}
