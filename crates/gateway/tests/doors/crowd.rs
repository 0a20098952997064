//! More connections than there are places: those without a request make room for those that have one.

use std::time::Duration;

use http::Method;
use simulator::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Router, Setup, backend, chat, policy, stream};

/// Places of the router under test.
const PLACES: usize = 16;

/// Connections of somebody who wants them all.
const FLOOD: usize = 200;

async fn crowded(small: &Simulator, large: &Simulator) -> Router {
    let mut setup = Setup::new(policy(small.address(), large.address()));
    setup.limits.connections = PLACES;
    setup.start().await
}

/// Connections that have sent `start`, and nothing more.
async fn flood(router: &Router, count: usize, start: &str) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(router.address).await.unwrap();
        // One that was closed before it could write has made room already.
        let _ = socket.write_all(start.as_bytes()).await;
        sockets.push(socket);
    }
    sockets
}

/// One request on a connection of its own; the status line and all that follows.
async fn alone(router: &Router, method: &Method, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(router.address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut text = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_string(&mut text)).await;
    read.expect("an answer comes in time").expect("a whole answer");
    text
}

async fn is_served(router: &Router) {
    for _ in 0..5 {
        let health = alone(router, &Method::GET, "/health", "").await;
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        let answer =
            alone(router, &Method::POST, "/v1/chat/completions", &chat("Write a haiku").to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("small says"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_heads_starve_nobody() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = crowded(&small, &large).await;
    for start in ["", "GET /hea", "POST /v1/chat/completions HTTP/1.1\r\nhost: r\r\nx-slow: "] {
        let flood = flood(&router, FLOOD, start).await;
        is_served(&router).await;
        drop(flood);
    }
}

/// A first request makes nobody welcome for ever: the second head is as slow as any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_second_heads_starve_nobody() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = crowded(&small, &large).await;
    for rest in ["", "GET /hea"] {
        let start = format!("GET /health HTTP/1.1\r\nhost: r\r\n\r\n{rest}");
        let flood = flood(&router, FLOOD, &start).await;
        is_served(&router).await;
        drop(flood);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_progress_keeps_its_place() {
    let (small, large) = (backend("small", &["never-ends"]).await, backend("large", &[]).await);
    let router = crowded(&small, &large).await;
    let body = stream("Write a haiku").to_string();
    let mut socket = TcpStream::connect(router.address).await.unwrap();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: r\r\ncontent-length: {}\r\n\r\n", body.len());
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut first = [0; 256];
    socket.read_exact(&mut first).await.unwrap();

    let flood = flood(&router, FLOOD, "GET /hea").await;
    assert!(alone(&router, &Method::GET, "/health", "").await.starts_with("HTTP/1.1 200"));
    // More than any buffer on the way held while the places were fought for.
    let mut more = vec![0; 1 << 20];
    let read = tokio::time::timeout(Duration::from_secs(20), socket.read_exact(&mut more)).await;
    read.expect("the answer goes on").expect("its connection holds");
    drop(flood);
}
