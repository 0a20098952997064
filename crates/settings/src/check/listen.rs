//! Where the router listens.

use std::net::SocketAddr;
use std::time::Duration;

use crate::secret::Secret;

/// Where the router listens. `None` is a listener that is switched off.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// The HTTP door.
    pub http: Option<Listener>,
    /// Prometheus `/metrics`.
    pub metrics: Option<Listener>,
    /// The admin API.
    pub admin: Option<Admin>,
    /// Envoy external processing.
    pub extproc: Option<ExtProc>,
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether the file names it. A taken port that nobody set is only a warning for optional listeners.
    pub explicit: bool,
}

/// The admin API.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where it listens.
    pub listener: Listener,
    /// The token that changes need; without one nothing can be changed.
    pub token: Option<Secret>,
}

/// Envoy external processing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtProc {
    /// Where it listens.
    pub listener: Listener,
    /// How long a decision may take.
    pub decision_timeout: Duration,
    /// What happens to a prompt that cannot be routed by its content.
    pub on_unroutable: OnUnroutable,
}

/// What happens to a prompt that cannot be routed by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnroutable {
    /// It goes on as it came.
    Pass,
    /// It is answered with an error.
    Refuse,
}
