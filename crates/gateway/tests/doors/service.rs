//! What a platform asks of a service, and the metrics door.

use std::sync::Arc;

use gateway::http::ROUTES;
use gateway::metrics::{MetricsFormat, serve_metrics};
use http::{HeaderValue, Method, StatusCode};
use tokio::net::TcpListener;

use crate::support::{Setup, nowhere, policy};

#[tokio::test]
async fn probes_answer_and_leave_a_record_only_under_a_sampled_parent() {
    let mut setup = Setup::new(policy(nowhere().await, nowhere().await));
    setup.ready = Err("every endpoint is down".to_owned());
    let router = setup.start().await;
    assert_eq!(router.get("/health").await.json()["status"], "ok");
    let ready = router.get("/ready").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["reason"], "every endpoint is down");
    let mut request = router.request(Method::GET, "/health", "");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.headers_mut().insert("traceparent", HeaderValue::from_static(parent));
    router.call(request).await;
    let record = router.kept.one().await;
    assert_eq!((record.request.route, record.parent.is_some()), ("/health", true));
}

#[tokio::test]
async fn the_version_and_the_models_are_told() {
    let router = Setup::new(policy(nowhere().await, nowhere().await)).start().await;
    let version = router.get("/version").await.json();
    assert_eq!((&version["version"], &version["config_version"]), (&"1.2.3".into(), &"test".into()));
    let models = router.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    let names: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(names, ["auto", "MoM", "small", "large"]);
    assert_eq!(models["data"][2]["owned_by"], "vllm");
    assert_eq!(models["data"][0]["created"], 1_700_000_000);
    assert_eq!(router.get("/v1/models/small").await.json(), models["data"][2]);
    let absent = router.get("/v1/models/org/absent").await;
    assert_eq!((absent.status, absent.code().as_str()), (StatusCode::NOT_FOUND, "model_not_found"));
    let head = router.call(router.request(Method::HEAD, "/v1/models", "")).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    let records = router.kept.wait_for(5).await;
    assert!(records.iter().all(|record| record.events.is_empty()), "nobody left");
    assert_eq!(records[2].request.route, "/v1/models/{model}");
}

#[tokio::test]
async fn the_openapi_document_has_every_route_and_resolves() {
    let router = Setup::new(policy(nowhere().await, nowhere().await)).start().await;
    let document = router.get("/openapi.json").await.json();
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&"3.1.0".into(), &"1.2.3".into()));
    let mut paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut routes = ROUTES.to_vec();
    paths.sort_unstable();
    routes.sort_unstable();
    assert_eq!(paths, routes);
    for path in document["paths"].as_object().unwrap().iter() {
        for method in path.1.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let address = path.0.replace("{model}", "auto");
            let answer = router.call(router.request(method, &address, "{}")).await;
            assert!(!matches!(answer.status.as_u16(), 404 | 405), "{} {}", path.0, answer.status);
        }
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            found.extend(members.get("$ref").and_then(|value| value.as_str()).map(str::to_owned));
            members.values().for_each(|value| collect_references(value, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_metrics_door_gives_the_format_that_is_asked_for() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let render = Arc::new(|format: MetricsFormat| format!("{format:?}\n"));
    tokio::spawn(serve_metrics(listener, render, std::future::pending()));
    // Any client will do; a router's is at hand.
    let router = Setup::new(policy(nowhere().await, nowhere().await)).start().await;
    for (path, accept, status, body) in [
        ("/metrics", "text/plain", 200, "Prometheus\n"),
        ("/metrics", "application/openmetrics-text", 200, "OpenMetrics\n"),
        ("/", "*/*", 404, "The metrics are at /metrics.\n"),
    ] {
        let mut request = router.request(Method::GET, path, "");
        *request.uri_mut() = format!("http://{address}{path}").parse().unwrap();
        request.headers_mut().insert("accept", HeaderValue::from_static(accept));
        let answer = router.call(request).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (status, body.as_bytes()));
    }
}
