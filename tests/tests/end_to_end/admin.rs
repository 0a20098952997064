//! The admin API of a running router.

use serde_json::{Value, json};
use simulator::Simulator;
use tests::client::{Answer, Client, chat, post, streamed};
use tests::configuration::Configuration;
use tests::router::Router;
use tests::{backend, bounded};

const TOKEN: &str = "admin-token-of-the-tests";

/// A router whose admin door is open, with a backend that never ends an answer when asked so.
async fn started() -> (Router, Client, Simulator) {
    let backend = backend::faulty("small", &["never-ends@prompt=endless"]).await;
    let door = format!("admin: {{ address: '127.0.0.1:0', token: {TOKEN} }}");
    let yaml = Configuration::one_model(&backend).yaml().replace("admin: off", &door);
    let router = Router::start(Configuration::exactly(yaml)).await;
    let admin = router.door("admin").await;
    (router, admin, backend)
}

/// A change through the admin API, as the door wants changes: by its address, with the token and the custom header.
async fn change(admin: Client, method: &str, path: &str, body: Value) -> Answer {
    let request = String::from_utf8(post(path, &[], body.to_string().as_bytes())).expect("text");
    let headers = format!("host: localhost\r\nauthorization: Bearer {TOKEN}\r\nx-vsr-admin: 1\r\n");
    admin.send(request.replacen("POST", method, 1).replacen("host: router\r\n", &headers, 1).as_bytes()).await
}

async fn get(admin: Client, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    admin.send(request.as_bytes()).await
}

#[test]
fn what_is_in_flight_is_listed() {
    bounded(async {
        let (router, admin, _backend) = started().await;
        assert_eq!(get(admin, "/admin/v1/in-flight").await.json()["count"], 0);
        let request = post("/v1/chat/completions", &[], streamed("endless").to_string().as_bytes());
        let mut stream = router.client().open(&request).await;
        stream.until("chat.completion.chunk").await;
        let listed = get(admin, "/admin/v1/in-flight").await.json();
        assert_eq!(
            (&listed["count"], &listed["requests"][0]["route"]),
            (&1.into(), &"/v1/chat/completions".into())
        );
        assert_eq!(listed["requests"][0]["phase"], "answering", "{listed}");
        stream.leave();
        router.end().await;
    });
}

#[test]
fn sampling_changes_while_it_runs() {
    bounded(async {
        let (router, admin, _backend) = started().await;
        let seen = router.client().chat(&chat("One")).await;
        let changed = change(admin, "PATCH", "/admin/v1/sampling", json!({ "type": "always_off" })).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let unseen = router.client().chat(&chat("Two")).await;
        let left = router.end().await;
        assert!(!left.spans(seen.trace_id()).is_empty());
        assert!(tests::span::of_trace(&left.0.stdout, unseen.trace_id()).is_empty());
    });
}

#[test]
fn the_cache_is_emptied_and_the_file_read_again() {
    bounded(async {
        let (router, admin, _backend) = started().await;
        for hit in [None, Some("true")] {
            assert_eq!(router.client().chat(&chat("One")).await.header("x-vsr-cache-hit"), hit);
        }
        assert_eq!(change(admin, "DELETE", "/admin/v1/cache", Value::Null).await.status, 200);
        assert_eq!(router.client().chat(&chat("One")).await.header("x-vsr-cache-hit"), None);
        assert_eq!(change(admin, "POST", "/admin/v1/reload", Value::Null).await.status, 200);
        std::fs::write(router.file(), "modles: []").expect("a file");
        let refused = change(admin, "POST", "/admin/v1/reload", Value::Null).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains("modles"), "{}", refused.text());
        let config = get(admin, "/admin/v1/config").await;
        assert!(config.status == 200 && !config.text().contains(TOKEN), "{}", config.text());
        router.end().await;
    });
}

#[test]
fn strangers_change_nothing() {
    bounded(async {
        let (router, admin, _backend) = started().await;
        let off = json!({ "type": "always_off" }).to_string();
        let plain = String::from_utf8(post("/admin/v1/sampling", &[], off.as_bytes())).expect("text");
        let plain = plain.replacen("POST", "PATCH", 1);
        let local = plain.replacen("host: router", "host: localhost", 1);
        let wrong =
            local.replacen("\r\n\r\n", "\r\nauthorization: Bearer another\r\nx-vsr-admin: 1\r\n\r\n", 1);
        let bare = local.replacen("\r\n\r\n", &format!("\r\nauthorization: Bearer {TOKEN}\r\n\r\n"), 1);
        for (request, status) in [(plain, 403), (local, 401), (wrong, 401), (bare, 403)] {
            assert_eq!(admin.send(request.as_bytes()).await.status, status, "{request}");
        }
        assert_eq!(get(admin, "/admin/v1/sampling").await.json()["type"], "always_on");
        router.end().await;
    });
}
