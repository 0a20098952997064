//! Who calls: API keys, and the peers whose word about a user counts.
//!
//! Independent of the door: it sees header values and an address. Invariant: keys are known only by their SHA-256, are
//! compared in constant time, and appear in no `Debug` output.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use pipeline::request::Principal;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Who may call, and whose identity headers count.
#[derive(Clone, Debug)]
pub struct Access {
    /// The known keys.
    pub keys: Vec<ApiKey>,
    /// Whether a caller needs one.
    pub key_use: KeyUse,
    /// Peers whose identity headers count; empty means nobody's.
    pub trusted_peers: Vec<Network>,
    /// The header that names the user, in lower case.
    pub user_header: Arc<str>,
    /// The header that names the session, in lower case.
    pub session_header: Arc<str>,
}

impl Default for Access {
    /// No keys, nobody trusted, and the usual names of headers.
    fn default() -> Self {
        Access {
            keys: Vec::new(),
            key_use: KeyUse::default(),
            trusted_peers: Vec::new(),
            user_header: Arc::from("x-user-id"),
            session_header: Arc::from("x-session-id"),
        }
    }
}

/// Whether a caller needs a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyUse {
    /// A key only names its caller; others are anonymous.
    #[default]
    Optional,
    /// Without a known key there is no answer but 401.
    Required,
}

/// One API key.
#[derive(Clone)]
pub struct ApiKey {
    /// Who calls with it.
    pub name: Arc<str>,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// Models that it may use; `None` means all.
    pub allowed_models: Option<Arc<[Arc<str>]>>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// Leading bits: 0 to 32, or to 128 for IPv6.
    pub prefix: u8,
}

impl Network {
    /// The two networks of this machine itself: `127.0.0.0/8` and `::1/128`.
    #[must_use]
    pub fn loopback() -> Vec<Network> {
        let v4 = Network { address: IpAddr::from([127, 0, 0, 0]), prefix: 8 };
        vec![v4, Network { address: IpAddr::from(std::net::Ipv6Addr::LOCALHOST), prefix: 128 }]
    }

    /// Whether an address is in the network. An IPv4 address written as IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u128::from(ours.to_bits()), theirs.to_bits().into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            _ => return false,
        };
        let ignored = width - u32::from(self.prefix).min(width);
        ours.checked_shr(ignored).unwrap_or(0) == theirs.checked_shr(ignored).unwrap_or(0)
    }
}

/// What a request says about who sends it.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Value of `authorization`.
    pub authorization: Option<&'a str>,
    /// Value of the header that names the user.
    pub user: Option<&'a str>,
    /// Value of the header that names the session.
    pub session: Option<&'a str>,
    /// The address that the connection comes from; `None` where a door cannot know it.
    pub peer: Option<IpAddr>,
}

/// A caller whose claim was checked.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub principal: Principal,
    /// The session, if the peer may name one.
    pub session: Option<Arc<str>>,
    /// Whether the peer's identity headers count.
    pub peer: PeerTrust,
    /// Whose the `authorization` is.
    pub authorization: AuthorizationUse,
}

/// Whether the peer's identity headers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerTrust {
    /// They do.
    Trusted,
    /// They are removed.
    Untrusted,
}

/// For whom the caller's `authorization` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationUse {
    /// It is a key of this router, and never leaves it.
    Router,
    /// It is not ours: a backend may know it, where it is passed through.
    Backend,
}

/// The caller needs a key and has none that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

impl Access {
    /// Checks who calls.
    ///
    /// # Errors
    ///
    /// [`UnknownKey`] when keys are required and the claim has none that is known.
    pub fn establish(&self, claim: Claim<'_>) -> Result<Caller, UnknownKey> {
        let key = claim.authorization.and_then(bearer).and_then(|token| self.key_of(token));
        if key.is_none() && self.key_use == KeyUse::Required {
            return Err(UnknownKey);
        }
        let trusted =
            claim.peer.is_some_and(|peer| self.trusted_peers.iter().any(|network| network.contains(peer)));
        let stated = |value: Option<&str>| value.filter(|_| trusted).and_then(identity);
        let (name, allowed_models) = match key {
            Some(key) => (Arc::clone(&key.name), key.allowed_models.clone()),
            None => (Principal::anonymous().name, None),
        };
        Ok(Caller {
            principal: Principal { name, user: stated(claim.user), allowed_models },
            session: stated(claim.session),
            peer: if trusted { PeerTrust::Trusted } else { PeerTrust::Untrusted },
            authorization: if key.is_some() { AuthorizationUse::Router } else { AuthorizationUse::Backend },
        })
    }

    /// Compares with every key, so that the time taken tells nothing of which one was close.
    fn key_of(&self, token: &str) -> Option<&ApiKey> {
        if self.keys.is_empty() {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.sha256.ct_eq(&digest)) {
                found = Some(key);
            }
        }
        found
    }
}

/// The token of a `Bearer` authorization; the scheme's case does not matter (RFC 9110, section 11.1).
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Longest user or session id that is taken, in bytes.
const MAX_IDENTITY_BYTES: usize = 256;

fn identity(value: &str) -> Option<Arc<str>> {
    let value = value.trim();
    (!value.is_empty() && value.len() <= MAX_IDENTITY_BYTES).then(|| Arc::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(key_use: KeyUse) -> Access {
        let key = ApiKey {
            name: Arc::from("team"),
            sha256: Sha256::digest(b"secret").into(),
            allowed_models: Some(Arc::from([Arc::from("small")])),
        };
        Access { keys: vec![key], key_use, trusted_peers: Network::loopback(), ..Access::default() }
    }

    fn claim<'a>(authorization: Option<&'a str>, peer: &str) -> Claim<'a> {
        Claim { authorization, user: Some("ann"), session: Some("s1"), peer: peer.parse().ok() }
    }

    #[test]
    fn a_known_key_names_its_caller_and_stays_here() {
        for written in ["Bearer secret", "bearer  secret "] {
            let caller = access(KeyUse::Required).establish(claim(Some(written), "127.0.0.9")).unwrap();
            assert_eq!(&*caller.principal.name, "team");
            assert_eq!(caller.principal.user.as_deref(), Some("ann"));
            assert!(!caller.principal.may_use("large"));
            assert_eq!(caller.authorization, AuthorizationUse::Router);
        }
    }

    #[test]
    fn without_a_known_key_a_caller_is_refused_or_anonymous() {
        for wrong in [None, Some("Bearer Secret"), Some("Basic secret"), Some("secret"), Some("Bearer ")] {
            assert_eq!(access(KeyUse::Required).establish(claim(wrong, "127.0.0.1")).err(), Some(UnknownKey));
            let caller = access(KeyUse::Optional).establish(claim(wrong, "127.0.0.1")).unwrap();
            assert_eq!(&*caller.principal.name, "anonymous");
            assert_eq!(caller.authorization, AuthorizationUse::Backend);
        }
    }

    #[test]
    fn identity_headers_count_only_from_trusted_peers() {
        let trusted = access(KeyUse::Optional).establish(claim(None, "::ffff:127.0.0.1")).unwrap();
        assert_eq!(trusted.session.as_deref(), Some("s1"));
        for peer in ["192.0.2.1", "2001:db8::1", "not known"] {
            let caller = access(KeyUse::Optional).establish(claim(None, peer)).unwrap();
            assert_eq!((caller.principal.user, caller.session), (None, None), "{peer}");
        }
    }

    #[test]
    fn networks_count_leading_bits() {
        let network = Network { address: "10.1.0.0".parse().unwrap(), prefix: 16 };
        assert!(network.contains("10.1.255.1".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        let all = Network { address: "0.0.0.0".parse().unwrap(), prefix: 0 };
        assert!(all.contains("203.0.113.7".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
    }

    #[test]
    fn no_hash_is_printed() {
        assert!(!format!("{:?}", access(KeyUse::Required)).contains("sha256"));
    }
}
