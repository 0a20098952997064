//! Which headers go on: from the client to a backend, and from a backend to the client.
//!
//! Invariants: connection headers, routing headers and identity that nobody vouches for end here; a caller's
//! credentials go on only where the attempt says so.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pipeline::exchange::{Attempt, CallerCredentials};
use pipeline::policy::Credentials;
use trace::propagation::Propagators;

use crate::access::{AuthorizationUse, Caller, PeerTrust};

/// Headers of one connection (RFC 9110, section 7.6.1), and those that the next client sets by itself.
pub(crate) const CONNECTION: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "expect",
];

/// Headers of a request that are the router's own to write, or that mean nothing behind it. Trace formats that are not
/// propagated are among them: the caller's span must not become the parent of the backend's.
const REQUEST_ONLY_OURS: [&str; 11] = [
    "host",
    "content-length",
    "accept-encoding",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "uber-trace-id",
    "x-request-id",
    "x-selected-model",
    "x-gateway-destination-endpoint",
];

/// Headers by which a caller identifies itself to a provider.
const CREDENTIALS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

/// Headers that name a user, from trusted peers only.
const IDENTITY: [&str; 2] = ["x-user-id", "x-session-id"];

/// Headers of an answer that are the router's own to write.
const ANSWER_ONLY_OURS: [&str; 6] = [
    "content-length",
    "x-request-id",
    "x-trace-id",
    "traceresponse",
    "server-timing",
    "x-gateway-destination-endpoint",
];

/// Prefixes of the router's own headers, and of a trace format that is not propagated.
const OUR_PREFIXES: [&str; 2] = ["x-vsr-", "x-b3-"];

/// Headers of the call to a backend.
pub(crate) fn to_backend(
    client: &HeaderMap,
    caller: &Caller,
    attempt: &Attempt,
    propagators: Propagators,
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(client.len() + 8);
    let credentials = attempt.caller_credentials == CallerCredentials::Forward;
    let listed = connection_listed(client);
    for (name, value) in client {
        let text = name.as_str();
        let passes = match text {
            "authorization" => credentials && caller.authorization == AuthorizationUse::Backend,
            _ if CREDENTIALS.contains(&text) => credentials,
            _ if IDENTITY.contains(&text) => caller.peer == PeerTrust::Trusted,
            _ => !REQUEST_ONLY_OURS.contains(&text) && !is_ours(text),
        };
        if passes && !CONNECTION.contains(&text) && !listed.iter().any(|listed| listed == text) {
            headers.append(name.clone(), value.clone());
        }
    }
    // Answers are read in passing, which a compressed one would not allow.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    if let Some(baggage) = attempt.endpoint.internal.then(|| baggage(client, propagators)).flatten() {
        headers.insert(HeaderName::from_static("baggage"), baggage);
    }
    add_ours(&mut headers, attempt);
    headers
}

/// The caller's baggage, where it is valid and within bounds; only our own endpoints see it.
fn baggage(client: &HeaderMap, propagators: Propagators) -> Option<HeaderValue> {
    let values = |name: &str| client.get_all(name).into_iter().map(HeaderValue::as_bytes).collect();
    HeaderValue::try_from(propagators.baggage(&values)?).ok()
}

/// Headers of a backend's answer that go to the client.
pub(crate) fn to_client(backend: &HeaderMap, length: ContentLength) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(backend.len() + 12);
    let listed = connection_listed(backend);
    for (name, value) in backend {
        let text = name.as_str();
        let kept = text == "content-length" && length == ContentLength::Kept;
        let ours = ANSWER_ONLY_OURS.contains(&text) && !kept;
        if ours || is_ours(text) || CONNECTION.contains(&text) || listed.iter().any(|listed| listed == text) {
            continue;
        }
        headers.append(name.clone(), value.clone());
    }
    headers
}

/// Whether the announced length of an answer stays true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentLength {
    /// It does.
    Kept,
    /// It does not, or nobody knows.
    Dropped,
}

/// The attempt's headers, the endpoint's key and headers, and the decision's changes: each over the ones before.
fn add_ours(headers: &mut HeaderMap, attempt: &Attempt) {
    for (name, value) in &attempt.headers {
        insert(headers, HeaderName::from_static(name), value);
    }
    if let Credentials::Key(key) = &attempt.endpoint.credentials {
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).ok();
        if let Some(mut value) = value.take() {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
    }
    for (name, value) in &attempt.endpoint.headers {
        set(headers, name, value.expose());
    }
    for name in &attempt.changes.remove {
        headers.remove(&**name);
    }
    for (name, value) in &attempt.changes.set {
        set(headers, name, value);
    }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let Ok(name) = HeaderName::try_from(name) {
        insert(headers, name, value);
    }
}

/// Values come from the configuration, which was checked, or are made of such; one that does not fit is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn is_ours(name: &str) -> bool {
    OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Names that `connection` lists: they are for this connection only.
fn connection_listed(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use dialects::Dialect;
    use pipeline::policy::{Address, Endpoint, HeaderChanges, Secret, Timeouts};
    use pipeline::request::Principal;

    use super::*;

    fn endpoint(credentials: Credentials, internal: bool) -> Arc<Endpoint> {
        let second = Duration::from_secs(1);
        Arc::new(Endpoint {
            name: Arc::from("one"),
            address: Address { origin: Arc::from("http://h:1"), tls: false, host: Arc::from("h"), port: 1 },
            path_prefix: Arc::from(""),
            weight: 1,
            max_parallel: None,
            timeouts: Timeouts { connect: second, first_token: second, idle: second, total: second },
            credentials,
            headers: vec![(Arc::from("x-team"), Secret::new("blue"))],
            dialects: Dialect::ALL.to_vec(),
            internal,
            ask_usage: false,
        })
    }

    fn attempt(credentials: Credentials, internal: bool) -> Attempt {
        let caller_credentials = match credentials {
            Credentials::Passthrough => CallerCredentials::Forward,
            _ => CallerCredentials::Withhold,
        };
        Attempt {
            endpoint: endpoint(credentials, internal),
            path: Arc::from("/v1/chat/completions"),
            body: bytes::Bytes::new(),
            headers: vec![
                ("traceparent", "ours".to_owned()),
                ("x-gateway-destination-endpoint", "one".to_owned()),
            ],
            changes: HeaderChanges {
                set: vec![(Arc::from("x-set"), Arc::from("1"))],
                remove: vec![Arc::from("x-remove")],
            },
            caller_credentials,
        }
    }

    fn caller(peer: PeerTrust, authorization: AuthorizationUse) -> Caller {
        Caller { principal: Principal::anonymous(), session: None, peer, authorization }
    }

    fn client() -> HeaderMap {
        let lines = [
            ("authorization", "Bearer theirs"),
            ("x-api-key", "theirs"),
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("host", "router"),
            ("traceparent", "theirs"),
            ("baggage", "a=1"),
            ("b3", "0"),
            ("x-b3-traceid", "0"),
            ("x-vsr-selected-model", "spoof"),
            ("x-gateway-destination-endpoint", "10.0.0.1:80"),
            ("x-user-id", "ann"),
            ("x-remove", "1"),
            ("accept-encoding", "gzip"),
            ("openai-organization", "org"),
            ("cookie", "a=b"),
            ("x-many", "1"),
            ("x-many", "2"),
        ];
        lines
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(HeaderName, HeaderValue)>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_not_the_backends_ends_here() {
        let sent = to_backend(
            &client(),
            &caller(PeerTrust::Untrusted, AuthorizationUse::Backend),
            &attempt(Credentials::None, false),
            Propagators::default(),
        );
        let expected = [
            "accept-encoding",
            "content-type",
            "cookie",
            "openai-organization",
            "traceparent",
            "x-gateway-destination-endpoint",
            "x-many",
            "x-set",
            "x-team",
        ];
        assert_eq!(names(&sent), expected);
        assert_eq!(sent["x-gateway-destination-endpoint"], "one");
        assert_eq!(sent["traceparent"], "ours");
        assert_eq!(sent["accept-encoding"], "identity");
        assert_eq!(sent.get_all("x-many").iter().count(), 2);
    }

    #[test]
    fn credentials_go_on_only_where_the_attempt_says_so() {
        let backend_key = caller(PeerTrust::Trusted, AuthorizationUse::Backend);
        let passed = to_backend(
            &client(),
            &backend_key,
            &attempt(Credentials::Passthrough, true),
            Propagators::default(),
        );
        assert_eq!(passed["authorization"], "Bearer theirs");
        assert_eq!(passed["x-api-key"], "theirs");
        assert_eq!(passed["baggage"], "a=1");
        assert_eq!(passed["x-user-id"], "ann");
        let router_key = caller(PeerTrust::Trusted, AuthorizationUse::Router);
        let withheld = to_backend(
            &client(),
            &router_key,
            &attempt(Credentials::Passthrough, false),
            Propagators::default(),
        );
        assert!(!withheld.contains_key("authorization"));
        let keyed = to_backend(
            &client(),
            &backend_key,
            &attempt(Credentials::Key(Secret::new("k")), false),
            Propagators::default(),
        );
        assert_eq!(keyed["authorization"], "Bearer k");
        assert!(!keyed.contains_key("x-api-key") && keyed["authorization"].is_sensitive());
    }

    #[test]
    fn an_answers_headers_pass_but_for_the_connections_and_ours() {
        let mut backend = HeaderMap::new();
        for (name, value) in [
            ("content-length", "7"),
            ("content-type", "application/json"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("x-request-id", "theirs"),
            ("x-vsr-cache-hit", "true"),
            ("x-ratelimit-remaining-tokens", "9"),
        ] {
            backend.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let kept = to_client(&backend, ContentLength::Kept);
        assert_eq!(names(&kept), ["content-length", "content-type", "x-ratelimit-remaining-tokens"]);
        assert!(!to_client(&backend, ContentLength::Dropped).contains_key("content-length"));
    }
}
