//! Where the router listens.

use std::net::SocketAddr;
use std::path::PathBuf;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Whether the file names it. A taken port that nobody set is only a warning for optional listeners.
    pub explicit: bool,
    /// Certificates; `None` is a listener without TLS.
    pub tls: Option<ServerTls>,
}

impl Listener {
    /// Whether a stranger could call: it can be reached from other machines and asks for no client certificate.
    #[must_use]
    pub fn is_open_to_strangers(&self) -> bool {
        let asks = self.tls.as_ref().is_some_and(|tls| tls.client_authorities_file.is_some());
        !asks && !self.address.ip().is_loopback()
    }
}

/// The files of a listener's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The listener's certificate and those between it and its authority.
    pub certificate_file: PathBuf,
    /// The certificate's key.
    pub key_file: PathBuf,
    /// Whose signature a client's certificate needs; `None` asks clients for no certificate.
    pub client_authorities_file: Option<PathBuf>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
