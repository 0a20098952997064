//! What goes over a connection, and how connections are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use pipeline::exchange::UpstreamFaultKind;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, mpsc};
use upstream::{Client, ClientConfig};

use crate::support::{
    Backend, CHUNKED_HEAD, call, chunk, client, closed_by_peer, collect, endpoint_of, exchange, fault_of,
    http, read_request, within_patience,
};

#[tokio::test]
async fn calls_one_after_another_share_connections() {
    let backend = Backend::answering(http("200 OK", "{}")).await;
    let client = client();
    for _ in 0..20 {
        assert_eq!(exchange(&client, call(endpoint_of(&backend))).await.unwrap(), "{}");
    }
    // A connection may come back to the pool just after the next call has begun to open another one.
    assert!(backend.connections() <= 3, "{} connections", backend.connections());
}

#[tokio::test]
async fn the_request_arrives_as_given_with_headers_of_the_connection_by_the_client() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await.unwrap()).unwrap();
            stream.write_all(http("200 OK", "{}").as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut call = call(endpoint_of(&backend));
    call.headers.insert("content-length", HeaderValue::from_static("3"));
    call.headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    call.headers.insert("host", HeaderValue::from_static("elsewhere.example"));
    call.headers.insert("x-request-id", HeaderValue::from_static("r1"));
    exchange(&client(), call).await.unwrap();

    let request = requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/chat/completions HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", backend.address);
    let expected = [
        "authorization: Bearer very-secret-value",
        "content-length: 13",
        "content-type: application/json",
        &host,
        "x-request-id: r1",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"model\":\"m\"}");
}

#[tokio::test]
async fn any_status_and_any_content_is_an_answer() {
    let page =
        "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>no</html>";
    let backend = Backend::answering(page).await;
    let answer = client().send(call(endpoint_of(&backend))).await.unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(answer.headers["content-type"], "text/html");
    assert!(!answer.body.is_end());
    assert_eq!(collect(answer).await.unwrap(), "<html>no</html>");
}

#[tokio::test]
async fn an_answer_without_a_body_has_ended_at_once() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let answer = client().send(call(endpoint_of(&backend))).await.unwrap();
    assert!(answer.body.is_end());
    assert_eq!(collect(answer).await.unwrap(), "");
}

#[tokio::test]
async fn chunks_are_passed_on_as_they_come_and_trailers_are_dropped() {
    let (go_on, told) = mpsc::unbounded_channel::<()>();
    let told = Arc::new(Mutex::new(told));
    let backend = Backend::start(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(CHUNKED_HEAD.as_bytes()).await.unwrap();
            for text in ["one", "two", "three"] {
                stream.write_all(chunk(text).as_bytes()).await.unwrap();
                told.lock().await.recv().await.unwrap();
            }
            stream.write_all(b"0\r\nx-trailer: 1\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let mut answer = client().send(call(endpoint_of(&backend))).await.unwrap();
    for expected in ["one", "two", "three"] {
        let chunk = within_patience(answer.body.next()).await.unwrap().unwrap();
        assert_eq!(chunk, expected);
        go_on.send(()).unwrap();
    }
    assert_eq!(collect(answer).await.unwrap(), "");
}

#[tokio::test]
async fn a_connection_that_the_backend_closed_while_it_was_idle_is_not_used() {
    let (closed, mut notice) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(http("200 OK", "{}").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // The client's side is closed too as soon as the client has noticed.
            closed_by_peer(&mut stream).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let client = client();
    for calls in 1..=3 {
        exchange(&client, call(endpoint_of(&backend))).await.unwrap();
        within_patience(notice.recv()).await.unwrap();
        assert_eq!(backend.connections(), calls);
    }
}

#[tokio::test]
async fn a_call_that_was_written_is_never_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let backend = Backend::start(move |mut stream| {
        let counter = Arc::clone(&counter);
        async move {
            while read_request(&mut stream).await.is_some() {
                if counter.fetch_add(1, Ordering::SeqCst) > 0 {
                    return;
                }
                stream.write_all(http("200 OK", "{}").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let client = client();
    exchange(&client, call(endpoint_of(&backend))).await.unwrap();
    let (kind, _) = fault_of(&client, call(endpoint_of(&backend))).await;
    assert_eq!(kind, UpstreamFaultKind::Reset);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

/// A backend that answers one request per connection, and tells when the client has closed one.
async fn answering_once() -> (Backend, mpsc::UnboundedReceiver<()>) {
    let (closed, notice) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(http("200 OK", "{}").as_bytes()).await.unwrap();
            closed_by_peer(&mut stream).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    (backend, notice)
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_after_its_time() {
    let (backend, mut closed) = answering_once().await;
    let config = ClientConfig { idle_timeout: Duration::from_millis(20), ..ClientConfig::default() };
    let client = Client::new(config).unwrap();
    exchange(&client, call(endpoint_of(&backend))).await.unwrap();
    within_patience(closed.recv()).await.unwrap();
}

#[tokio::test]
async fn idle_connections_are_closed_with_their_client() {
    let (backend, mut closed) = answering_once().await;
    let client = client();
    exchange(&client, call(endpoint_of(&backend))).await.unwrap();
    drop(client);
    within_patience(closed.recv()).await.unwrap();
}

#[tokio::test]
async fn many_chunks_in_one_read_arrive_in_order() {
    let texts: Vec<String> = (0..500).map(|number| format!("data: {number}\n\n")).collect();
    let body: String = texts.iter().map(|text| chunk(text)).collect();
    let backend = Backend::answering([CHUNKED_HEAD, &body, "0\r\n\r\n"].concat()).await;
    let client = client();
    for _ in 0..20 {
        let whole = within_patience(exchange(&client, call(endpoint_of(&backend)))).await.unwrap();
        assert_eq!(whole, texts.concat());
    }
    assert_eq!(backend.connections(), 1);
}
