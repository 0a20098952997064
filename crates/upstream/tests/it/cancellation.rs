//! Whoever stops reading stops the backend.

use std::time::Duration;

use pipeline::exchange::UpstreamFaultKind;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::support::{
    Backend, CHUNKED_HEAD, call, chunk, client, closed_by_peer, endpoint_of, read_request, within_patience,
};

/// What a backend sees.
#[derive(Debug, PartialEq)]
enum Seen {
    Request,
    Closed,
}

/// A backend that writes `answer` to a request and reports when the client closes the connection.
async fn watching(answer: String) -> (Backend, mpsc::UnboundedReceiver<Seen>) {
    let (report, seen) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut stream| {
        let (answer, report) = (answer.clone(), report.clone());
        async move {
            read_request(&mut stream).await.unwrap();
            report.send(Seen::Request).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            closed_by_peer(&mut stream).await;
            report.send(Seen::Closed).unwrap();
        }
    })
    .await;
    (backend, seen)
}

#[tokio::test]
async fn dropping_a_call_before_its_answer_closes_the_connection() {
    let (backend, mut seen) = watching(String::new()).await;
    let client = client();
    let sending = tokio::spawn({
        let call = call(endpoint_of(&backend));
        async move { client.send(call).await.map(|answer| answer.status) }
    });
    assert_eq!(within_patience(seen.recv()).await, Some(Seen::Request));
    sending.abort();
    assert_eq!(within_patience(seen.recv()).await, Some(Seen::Closed));
}

#[tokio::test]
async fn dropping_an_answer_before_its_first_chunk_closes_the_connection() {
    let (backend, mut seen) = watching(CHUNKED_HEAD.to_owned()).await;
    let client = client();
    let answer = client.send(call(endpoint_of(&backend))).await.unwrap();
    assert_eq!(within_patience(seen.recv()).await, Some(Seen::Request));
    drop(answer);
    assert_eq!(within_patience(seen.recv()).await, Some(Seen::Closed));
}

#[tokio::test]
async fn dropping_an_answer_that_never_ends_closes_the_connection() {
    let (report, mut stopped) = mpsc::unbounded_channel();
    let backend = Backend::start(move |mut stream| {
        let report = report.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(CHUNKED_HEAD.as_bytes()).await.unwrap();
            while stream.write_all(chunk("data: {}\n\n").as_bytes()).await.is_ok() {}
            report.send(()).unwrap();
        }
    })
    .await;
    let client = client();
    let mut answer = client.send(call(endpoint_of(&backend))).await.unwrap();
    assert!(within_patience(answer.body.next()).await.unwrap().is_ok());
    drop(answer);
    within_patience(stopped.recv()).await.unwrap();
}

#[tokio::test]
async fn a_fault_closes_the_connection_while_the_body_is_still_held() {
    let (backend, mut seen) = watching(CHUNKED_HEAD.to_owned()).await;
    let client = client();
    let mut endpoint = endpoint_of(&backend);
    endpoint.timeouts.first_token = Duration::from_millis(60);
    let mut answer = client.send(call(endpoint)).await.unwrap();
    let fault = within_patience(answer.body.next()).await.unwrap().unwrap_err();
    assert_eq!(fault.kind, UpstreamFaultKind::FirstTokenTimeout);
    assert_eq!(within_patience(seen.recv()).await, Some(Seen::Request));
    assert_eq!(within_patience(seen.recv()).await, Some(Seen::Closed));
    assert!(answer.body.is_end());
}
