//! What is known of each endpoint.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pipeline::policy::Endpoint;
use pipeline::ports::AttemptReport;

use super::EndpointStatus;
use super::health::{EjectionLimits, Health};

/// One endpoint: what it is doing, and how it has fared.
#[derive(Debug)]
pub(super) struct EndpointState {
    name: Arc<str>,
    origin: Arc<str>,
    /// Attempts in flight; permits count it.
    pub(super) in_flight: Arc<AtomicUsize>,
    health: Mutex<Health>,
}

/// All endpoints, by name. Two policies may mean different places by one name while a reload is under way, so that a
/// name leads to a list, almost always of one.
#[derive(Debug, Default)]
pub(super) struct States(HashMap<Arc<str>, Vec<Arc<EndpointState>>>);

impl States {
    pub(super) fn find(&self, endpoint: &Endpoint) -> Option<Arc<EndpointState>> {
        self.0.get(&endpoint.name)?.iter().find(|state| state.is_of(endpoint)).cloned()
    }

    /// The state of an endpoint, a new one if it had none.
    pub(super) fn insert(&mut self, endpoint: &Endpoint) -> Arc<EndpointState> {
        if let Some(state) = self.find(endpoint) {
            return state;
        }
        let state = Arc::new(EndpointState {
            name: Arc::clone(&endpoint.name),
            origin: Arc::clone(&endpoint.address.origin),
            in_flight: Arc::default(),
            health: Mutex::default(),
        });
        self.0.entry(Arc::clone(&endpoint.name)).or_default().push(Arc::clone(&state));
        state
    }

    pub(super) fn retain(&mut self, wanted: impl Fn(&EndpointState) -> bool) {
        self.0.retain(|_, states| {
            states.retain(|state| wanted(state));
            !states.is_empty()
        });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<EndpointState>> {
        self.0.values().flatten()
    }
}

impl EndpointState {
    pub(super) fn is_of(&self, endpoint: &Endpoint) -> bool {
        self.name == endpoint.name && self.origin == endpoint.address.origin
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.health().is_ejected(now)
    }

    /// An attempt begins.
    pub(super) fn begin(&self, now: Instant, trial: Duration) {
        self.health().begin(now, trial);
    }

    /// An attempt went in some way.
    pub(super) fn learn(&self, report: AttemptReport, limits: EjectionLimits, now: Instant) {
        let mut health = self.health();
        match report {
            AttemptReport::Answered => health.answered(),
            AttemptReport::Failed => health.failed(limits, now),
        }
    }

    pub(super) fn status(&self) -> EndpointStatus {
        let health = self.health();
        EndpointStatus {
            name: Arc::clone(&self.name),
            origin: Arc::clone(&self.origin),
            in_flight: self.in_flight.load(Ordering::Acquire),
            consecutive_failures: health.consecutive_failures(),
            ejected_until: health.ejected_until(),
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
