//! HTTP/2 by prior knowledge, against hyper's server.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pipeline::exchange::UpstreamFaultKind;
use tokio::sync::mpsc;
use upstream::{Client, ClientConfig};

use crate::support::{Backend, call, endpoint_of, exchange, fault_of, http, within_patience};

type Polled = Poll<Option<Result<Frame<Bytes>, io::Error>>>;
type Body = http_body_util::combinators::BoxBody<Bytes, io::Error>;

/// A backend that speaks HTTP/2 and nothing else.
async fn http2_backend(answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Backend {
    Backend::start(move |stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request: Request<Incoming>| {
                assert_eq!(request.version(), Version::HTTP_2);
                let answer = answer();
                async move {
                    request.into_body().collect().await.unwrap();
                    Ok::<_, Infallible>(answer)
                }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // Ends when the client's side is dropped, as an error or not.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

fn client_of(backend: &Backend) -> Client {
    let origin = endpoint_of(backend).address.origin;
    Client::new(ClientConfig { http2_prior_knowledge: vec![origin], ..ClientConfig::default() }).unwrap()
}

fn whole(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed()
}

/// One chunk, then what `then` says; counts those that were dropped.
struct Scripted {
    sent: bool,
    then: fn() -> Polled,
    dropped: mpsc::UnboundedSender<()>,
}

impl http_body::Body for Scripted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
        if self.sent {
            return (self.then)();
        }
        self.sent = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data: {}\n\n")))))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

#[tokio::test]
async fn calls_at_the_same_time_share_one_connection() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let backend = http2_backend(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Response::new(whole("{}"))
    })
    .await;
    let client = Arc::new(client_of(&backend));
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (client, call) = (Arc::clone(&client), call(endpoint_of(&backend)));
            tokio::spawn(async move { exchange(&client, call).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "{}");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 16);
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn dropping_an_answer_resets_its_stream_and_keeps_the_connection() {
    let (dropped, mut drops) = mpsc::unbounded_channel();
    let backend = http2_backend(move || {
        let body = Scripted { sent: false, then: || Poll::Pending, dropped: dropped.clone() };
        Response::new(body.boxed())
    })
    .await;
    let client = client_of(&backend);
    for _ in 0..3 {
        let mut answer = client.send(call(endpoint_of(&backend))).await.unwrap();
        assert!(within_patience(answer.body.next()).await.unwrap().is_ok());
        drop(answer);
        within_patience(drops.recv()).await.unwrap();
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_stream_that_the_backend_resets_is_a_reset() {
    let (dropped, _drops) = mpsc::unbounded_channel();
    let backend = http2_backend(move || {
        let then = || Poll::Ready(Some(Err(io::Error::other("out of memory"))));
        Response::new(Scripted { sent: false, then, dropped: dropped.clone() }.boxed())
    })
    .await;
    let (kind, _) = fault_of(&client_of(&backend), call(endpoint_of(&backend))).await;
    assert_eq!(kind, UpstreamFaultKind::Reset);
}

#[tokio::test]
async fn a_head_past_the_limit_is_invalid() {
    let backend = http2_backend(|| {
        let builder = Response::builder().header("x-long", "x".repeat(100 * 1024));
        builder.body(whole("{}")).unwrap()
    })
    .await;
    let (kind, _) = fault_of(&client_of(&backend), call(endpoint_of(&backend))).await;
    assert_eq!(kind, UpstreamFaultKind::Invalid);
}

#[tokio::test]
async fn a_backend_that_answers_in_http1_is_invalid() {
    // It writes without reading: the preface of HTTP/2 is no request that it could read.
    let backend = Backend::start(|mut stream| async move {
        let answer = http("400 Bad Request", "{}");
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
        crate::support::closed_by_peer(&mut stream).await;
    })
    .await;
    let (kind, _) = fault_of(&client_of(&backend), call(endpoint_of(&backend))).await;
    assert_eq!(kind, UpstreamFaultKind::Invalid);
}
