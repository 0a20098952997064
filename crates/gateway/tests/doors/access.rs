//! Keys and identity.

use std::sync::Arc;

use gateway::access::{Access, ApiKey, KeyUse, Network};
use http::{HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Router, Setup, backend, chat, policy};

fn access() -> Access {
    let key = |name: &str, key: &str, models: Option<&[&str]>| ApiKey {
        name: Arc::from(name),
        sha256: Sha256::digest(key.as_bytes()).into(),
        allowed_models: models.map(|models| models.iter().map(|model| Arc::from(*model)).collect()),
    };
    Access {
        keys: vec![key("team", "sk-team-key", None), key("intern", "sk-intern-key", Some(&["small"]))],
        key_use: KeyUse::Required,
        trusted_peers: Vec::new(),
        ..Access::default()
    }
}

async fn call(router: &Router, key: Option<&'static str>, prompt: &str) -> crate::support::Answered {
    let mut request = router.request(Method::POST, "/v1/chat/completions", chat(prompt).to_string());
    if let Some(key) = key {
        request.headers_mut().insert("authorization", HeaderValue::from_static(key));
    }
    request.headers_mut().insert("x-user-id", HeaderValue::from_static("ann"));
    router.call(request).await
}

#[tokio::test]
async fn without_a_known_key_there_is_no_answer() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let mut setup = Setup::new(policy(small.address(), large.address()));
    setup.access = access();
    let router = setup.start().await;
    for wrong in [None, Some("Bearer sk-other"), Some("sk-team-key")] {
        let answer = call(&router, wrong, "a haiku").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_api_key"));
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!String::from_utf8_lossy(&answer.body).contains("sk-"));
    }
    assert_eq!(router.get("/v1/models").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(router.get("/health").await.status, StatusCode::OK);
    assert_eq!(router.get("/openapi.json").await.status, StatusCode::OK);
    assert_eq!(call(&router, Some("Bearer sk-team-key"), "a haiku").await.status, StatusCode::OK);
    assert!(!small.requests()[0].headers.contains_key("authorization"), "our key stays here");
    let records = router.kept.wait_for(5).await;
    let last = records.iter().find(|record| record.http_status == Some(200) && !record.spans().is_empty());
    assert_eq!(last.unwrap().request.user_id.as_ref().unwrap().as_str(), "team");
}

#[tokio::test]
async fn a_key_is_good_for_its_models() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let mut setup = Setup::new(policy(small.address(), large.address()));
    setup.access = access();
    let router = setup.start().await;
    let mut request = router.request(
        Method::POST,
        "/v1/chat/completions",
        chat("a haiku").to_string().replace("auto", "large"),
    );
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer sk-intern-key"));
    let answer = router.call(request).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "model_not_allowed"));
    let mut request = router.request(Method::GET, "/v1/models", "");
    request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer sk-intern-key"));
    let models = router.call(request).await.json();
    let names: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(names, ["auto", "MoM", "small"]);
}

#[tokio::test]
async fn a_user_is_believed_from_trusted_peers_only() {
    for (trusted, expected) in [(Network::loopback(), Some("ann")), (Vec::new(), None)] {
        let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
        let mut setup = Setup::new(policy(small.address(), large.address()));
        setup.access = Access { trusted_peers: trusted, ..Access::default() };
        let router = setup.start().await;
        call(&router, None, "a haiku").await;
        let record = router.kept.one().await;
        assert_eq!(record.request.user_id.as_ref().map(trace::Text::as_str), expected);
        let seen = small.requests()[0].headers.get("x-user-id").cloned();
        assert_eq!(seen.is_some(), expected.is_some());
    }
}

#[tokio::test]
async fn a_refusal_is_seen_by_a_client_that_is_still_sending() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let mut setup = Setup::new(policy(small.address(), large.address()));
    setup.access = access();
    let router = setup.start().await;
    // A client that reads only once it has written everything: a reset would take the answer from it.
    let body = chat(&"word ".repeat(1_000_000)).to_string();
    for path in ["/v1/chat/completions", "/v1/absent"] {
        let mut socket = TcpStream::connect(router.address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        socket.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 401");
    }
}
