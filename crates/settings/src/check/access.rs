//! Who may call, and how much.

use std::net::IpAddr;
use std::time::Duration;

use super::models::ModelIndex;

/// Who may call, and how much.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Who may call.
    pub mode: AccessMode,
    /// The keys; not empty exactly when the mode is [`AccessMode::Keys`], except that `mode: open` may list some to name callers.
    pub keys: Vec<ApiKey>,
    /// Peers whose `x-user-id` and `x-session-id` count. Empty: nobody's.
    pub trusted_peers: Vec<Network>,
    /// Bounds on what a client may send.
    pub limits: Limits,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessMode {
    /// Nobody said; every listener is on loopback or asks for a client certificate, and everybody there may call.
    Loopback,
    /// The file says `open`.
    Open,
    /// Callers with a key.
    Keys,
}

/// One API key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Who calls with it.
    pub name: String,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// Models that it may use; `None` is all.
    pub models: Option<Vec<ModelIndex>>,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ApiKey")
            .field("name", &self.name)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// Leading bits: 0 to 32, or to 128 for IPv6.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` is in the network. An IPv4 address written as IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, other, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let ignored = width - u32::from(self.prefix).min(width);
        bits.checked_shr(ignored).unwrap_or(0) == other.checked_shr(ignored).unwrap_or(0)
    }
}

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// The largest request head, in bytes.
    pub header_bytes: usize,
    /// The most header lines.
    pub headers: usize,
    /// The most messages in a conversation.
    pub messages: usize,
    /// How long a client may take to send a whole request.
    pub read_timeout: Duration,
    /// The most requests in flight.
    pub in_flight: usize,
    /// The most client connections.
    pub connections: usize,
}
