//! The admin door: who may use it, and what it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use gateway::admin::{AdminDoor, Operations, Reloaded, serve_admin};
use gateway::in_flight::InFlight;
use gateway::tracing_policy::TracingPolicy;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trace::sampling::Sampler;

use crate::support::{Answered, Router, Setup, nowhere, policy};

#[derive(Default)]
struct Fakes {
    reloads: AtomicUsize,
}

impl Operations for Fakes {
    fn backends(&self) -> Vec<upstream::EndpointStatus> {
        vec![upstream::EndpointStatus {
            name: Arc::from("small-1"),
            origin: Arc::from("http://h:1"),
            in_flight: 3,
            consecutive_failures: 1,
            ejected_until: None,
        }]
    }

    fn cache(&self) -> Value {
        json!({"backend": "embedded", "entries": 7})
    }

    fn clear_cache(&self) -> Result<Option<u64>, String> {
        Ok(Some(7))
    }

    fn config(&self) -> Value {
        json!({"version": "test"})
    }

    fn reload(&self) -> Result<Reloaded, Vec<String>> {
        match self.reloads.fetch_add(1, Ordering::Relaxed) {
            0 => {
                Ok(Reloaded { config_version: Arc::from("next"), needs_restart: vec!["listen.http".into()] })
            }
            _ => Err(vec!["models[0].name: is missing".to_owned()]),
        }
    }
}

struct Admin {
    address: SocketAddr,
    tracing: Arc<ArcSwap<TracingPolicy>>,
    client: Router,
}

async fn admin(token: Option<&str>) -> Admin {
    let tracing = Arc::new(ArcSwap::from_pointee(TracingPolicy::default()));
    let door = AdminDoor {
        token_sha256: token.map(AdminDoor::hash),
        hosts: AdminDoor::local_hosts(),
        in_flight: InFlight::new(10),
        tracing: Arc::clone(&tracing),
        operations: Arc::new(Fakes::default()),
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_admin(listener, Arc::new(door), std::future::pending()));
    Admin { address, tracing, client: Setup::new(policy(nowhere().await, nowhere().await)).start().await }
}

const TOKEN: (&str, &str) = ("authorization", "Bearer the-token");
const CUSTOM: (&str, &str) = ("x-vsr-admin", "1");

impl Admin {
    async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Answered {
        let mut request = self.client.request(method, path, body.to_owned());
        *request.uri_mut() = format!("http://{}/admin/v1/{path}", self.address).parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        self.client.call(request).await
    }
}

#[tokio::test]
async fn reading_is_free_on_loopback() {
    let admin = admin(Some("the-token")).await;
    let cases = [
        ("in-flight", json!({"count": 0, "requests": []})),
        ("cache", json!({"backend": "embedded", "entries": 7})),
        ("config", json!({"version": "test"})),
        ("sampling", json!({"type": "always_on", "parent_not_sampled": "respect", "keep": null})),
    ];
    for (path, expected) in cases {
        assert_eq!(admin.call(Method::GET, path, &[], "").await.json(), expected);
    }
    let backends = admin.call(Method::GET, "backends", &[], "").await.json();
    assert_eq!(
        (&backends["endpoints"][0]["name"], &backends["endpoints"][0]["known_dead"]),
        (&json!("small-1"), &json!(false))
    );
}

#[tokio::test]
async fn changes_need_the_token_and_the_header() {
    let admin = admin(Some("the-token")).await;
    let wrong = ("authorization", "Bearer another");
    for (headers, status) in [
        (&[][..], 401),
        (&[CUSTOM][..], 401),
        (&[wrong, CUSTOM][..], 401),
        (&[TOKEN][..], 403),
        (&[TOKEN, CUSTOM][..], 200),
    ] {
        let answer = admin.call(Method::DELETE, "cache", headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
    }
    let closed = self::admin(None).await;
    let answer = closed.call(Method::DELETE, "cache", &[TOKEN, CUSTOM], "").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"));
}

#[tokio::test]
async fn other_sites_and_other_names_are_refused() {
    let admin = admin(Some("the-token")).await;
    for (header, status) in [
        (("origin", "http://evil.example"), 403),
        (("origin", "null"), 403),
        (("host", "evil.example"), 403),
        (("origin", "http://localhost:3000"), 200),
        (("host", "LOCALHOST:1"), 200),
        (("host", "[::1]:1"), 200),
    ] {
        let answer = admin.call(Method::GET, "config", &[header], "").await;
        assert_eq!(answer.status.as_u16(), status, "{header:?}");
    }
}

#[tokio::test]
async fn sampling_is_changed_and_settings_are_reloaded() {
    let admin = admin(Some("the-token")).await;
    let headers = [TOKEN, CUSTOM];
    let answer =
        admin.call(Method::PATCH, "sampling", &headers, r#"{"type":"probabilistic","rate":0.1}"#).await;
    assert_eq!(answer.json()["rate"], 0.1);
    assert_eq!(admin.tracing.load().sampler, Sampler::Probabilistic { rate: 0.1 });
    let keep = r#"{"keep":{"errors":true,"slow_ms":250}}"#;
    let answer = admin.call(Method::PATCH, "sampling", &headers, keep).await.json();
    assert_eq!((&answer["rate"], &answer["keep"]["slow_ms"]), (&json!(0.1), &json!(250)));
    assert_eq!(admin.call(Method::GET, "sampling", &[], "").await.json(), answer);
    assert!(admin.tracing.load().keep.as_ref().is_some_and(|keep| keep.errors && !keep.retries));
    admin.call(Method::PATCH, "sampling", &headers, r#"{"keep":null}"#).await;
    assert_eq!(admin.tracing.load().keep, None);
    for wrong in [r#"{"rate":2}"#, r#"{"ratio":1}"#, r#"{"keep":{"slow_ms":0}}"#, "", "[]"] {
        let answer = admin.call(Method::PATCH, "sampling", &headers, wrong).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_request"));
    }
    let reloaded = admin.call(Method::POST, "reload", &headers, "").await.json();
    assert_eq!(reloaded, json!({"config_version": "next", "needs_restart": ["listen.http"]}));
    let failed = admin.call(Method::POST, "reload", &headers, "").await;
    assert_eq!((failed.status.as_u16(), failed.code().as_str()), (422, "invalid_config"));
    assert_eq!(failed.json()["error"]["mistakes"], json!(["models[0].name: is missing"]));
    let absent = admin.call(Method::GET, "nothing", &[], "").await;
    assert_eq!((absent.status.as_u16(), absent.code().as_str()), (404, "not_found"));
    let wrong = admin.call(Method::PUT, "cache", &headers, "").await;
    assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (405, "method_not_allowed"));
}
