//! The addresses of endpoints: Envoy goes to an IP address, never to a name.
//!
//! Invariant: an address that was good a moment ago serves while the name service is slow or gone.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pipeline::policy::Address;

/// How long an address is used without asking again.
const FRESH: Duration = Duration::from_secs(5);

/// How long an address is used where asking again fails.
const STALE: Duration = Duration::from_secs(600);

/// Most names that are remembered; endpoints are far fewer.
const MAX_NAMES: usize = 1024;

/// Names and the addresses that they had last.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<HashMap<(Arc<str>, u16), Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    address: SocketAddr,
    at: Instant,
}

/// A name has no address now.
#[derive(Debug)]
pub(super) struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the endpoint's name has no address: {}", self.0)
    }
}

impl Names {
    /// The address of an endpoint, within `limit`.
    pub(super) async fn address(&self, endpoint: &Address, limit: Duration) -> Result<SocketAddr, Unknown> {
        let (host, port) = (&endpoint.host, endpoint.port);
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let key = (Arc::clone(host), port);
        let known = self.lock().get(&key).copied();
        if let Some(known) = known.filter(|known| known.at.elapsed() < FRESH) {
            return Ok(known.address);
        }
        let asked = tokio::time::timeout(limit, tokio::net::lookup_host((&**host, port))).await;
        let found = match asked {
            Ok(Ok(mut addresses)) => addresses.next().ok_or_else(|| "it has none".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("nobody said within {} ms", limit.as_millis())),
        };
        match found {
            Ok(address) => {
                let mut names = self.lock();
                if names.len() >= MAX_NAMES {
                    names.clear();
                }
                names.insert(key, Known { address, at: Instant::now() });
                Ok(address)
            }
            Err(reason) => match known.filter(|known| known.at.elapsed() < STALE) {
                Some(known) => Ok(known.address),
                None => Err(Unknown(reason)),
            },
        }
    }

    /// A panic elsewhere leaves the names usable: every change is complete in itself.
    fn lock(&self) -> MutexGuard<'_, HashMap<(Arc<str>, u16), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_taken_and_names_are_asked_for() {
        let names = Names::default();
        let second = Duration::from_secs(1);
        let at = |host: &str| Address { origin: Arc::from(""), tls: false, host: Arc::from(host), port: 80 };
        assert_eq!(names.address(&at("10.1.2.3"), second).await.unwrap().to_string(), "10.1.2.3:80");
        assert_eq!(names.address(&at("::1"), second).await.unwrap().to_string(), "[::1]:80");
        assert!(names.address(&at("localhost"), second).await.unwrap().ip().is_loopback());
        let missing = names.address(&at("no-such-host.invalid"), second).await.unwrap_err();
        assert!(missing.to_string().starts_with("the endpoint's name has no address: "), "{missing}");
    }

    #[tokio::test]
    async fn an_old_address_serves_while_nobody_knows_a_new_one() {
        let names = Names::default();
        let host: Arc<str> = Arc::from("no-such-host.invalid");
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let at = Instant::now().checked_sub(FRESH).unwrap();
        names.lock().insert((Arc::clone(&host), 80), Known { address, at });
        let endpoint = Address { origin: Arc::from(""), tls: false, host, port: 80 };
        assert_eq!(names.address(&endpoint, Duration::from_secs(1)).await.unwrap(), address);
    }
}
