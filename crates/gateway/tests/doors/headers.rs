//! Which headers reach a backend.

use std::sync::Arc;

use http::{HeaderValue, Method};
use pipeline::policy::{Credentials, Secret};

use crate::support::{Router, Setup, backend, chat, endpoint, model, policy};

#[tokio::test]
async fn a_client_can_neither_route_nor_speak_for_the_router() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let mut request = router.request(Method::POST, "/v1/chat/completions", chat("a haiku").to_string());
    for (name, value) in [
        ("x-gateway-destination-endpoint", "10.0.0.1:80"),
        ("x-selected-model", "large"),
        ("x-vsr-selected-model", "large"),
        ("authorization", "Bearer sk-callers-own-key"),
        ("x-api-key", "sk-callers-own-key"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("accept-encoding", "gzip"),
        ("x-custom", "stays"),
        ("baggage", "a=1"),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    router.call(request).await;
    let seen = &small.requests()[0].headers;
    assert_eq!(seen["x-gateway-destination-endpoint"], "small-1");
    assert_eq!(seen["x-selected-model"], "small");
    assert_eq!(seen["accept-encoding"], "identity");
    assert_eq!(seen["x-custom"], "stays");
    assert_eq!(seen.get_all("x-gateway-destination-endpoint").iter().count(), 1);
    for absent in ["x-vsr-selected-model", "authorization", "x-api-key", "x-hop", "baggage"] {
        assert!(!seen.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn an_endpoints_key_is_sent_to_it_and_to_no_other() {
    let (small, large) = (backend("small", &[]).await, backend("large", &["status=503"]).await);
    let mut policy = policy(small.address(), large.address());
    let mut keyed = endpoint("large-1", large.address());
    keyed.credentials = Credentials::Key(Secret::new("sk-of-the-endpoint"));
    keyed.headers = vec![(Arc::from("x-tenant"), Secret::new("blue"))];
    policy.models[1] = model("large", "reasoning", vec![keyed]);
    let router = Setup::new(policy).start().await;
    router.chat("the derivative").await;
    assert_eq!(large.requests()[0].headers["authorization"], "Bearer sk-of-the-endpoint");
    assert_eq!(large.requests()[0].headers["x-tenant"], "blue");
    assert!(!small.requests()[0].headers.contains_key("authorization"));
    assert!(!small.requests()[0].headers.contains_key("x-tenant"));
}

#[tokio::test]
async fn a_callers_key_goes_on_only_to_a_passthrough_endpoint() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let mut policy = policy(small.address(), large.address());
    let mut passing = endpoint("small-1", small.address());
    passing.credentials = Credentials::Passthrough;
    policy.models[0] = model("small", "general", vec![passing]);
    let router = Setup::new(policy).start().await;
    for prompt in ["a haiku", "the derivative"] {
        let mut request = router.request(Method::POST, "/v1/chat/completions", chat(prompt).to_string());
        request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer sk-callers-own-key"));
        router.call(request).await;
    }
    assert_eq!(small.requests()[0].headers["authorization"], "Bearer sk-callers-own-key");
    assert!(!large.requests()[0].headers.contains_key("authorization"));
}
