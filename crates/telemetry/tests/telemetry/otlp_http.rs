//! The HTTP exporter against a collector in this process that answers by script.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use telemetry::otlp::{Compression, Config, Endpoint, Otlp, Protocol, Retry};
use telemetry::{Delivery, Destination, Resource};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use trace::Record;

use crate::common;

pub(crate) type Received = mpsc::UnboundedReceiver<(String, HeaderMap, Bytes)>;

/// Serves the scripted answers, then empty successes. The task ends with the set.
async fn collector(script: Vec<Response<Full<Bytes>>>) -> (SocketAddr, Received, JoinSet<()>) {
    collector_over(None, script).await
}

/// The same, over TLS if there is an acceptor.
pub(crate) async fn collector_over(
    tls: Option<TlsAcceptor>,
    script: Vec<Response<Full<Bytes>>>,
) -> (SocketAddr, Received, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::unbounded_channel();
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (script, sender) = (Arc::clone(&script), sender.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (script, sender) = (Arc::clone(&script), sender.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    sender.send((head.uri.path().to_owned(), head.headers, body)).unwrap();
                    let answer = script.lock().unwrap().pop_front();
                    Ok::<_, hyper::Error>(answer.unwrap_or_default())
                }
            });
            let (server, tls) = (hyper::server::conn::http1::Builder::new(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => server.serve_connection(TokioIo::new(stream), service).await,
                    // A client that does not trust us, or that we do not trust, ends the handshake.
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => server.serve_connection(TokioIo::new(stream), service).await,
                        Err(_) => Ok(()),
                    },
                }
            });
        }
    });
    (address, received, tasks)
}

fn status(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::default()).unwrap()
}

fn config(address: SocketAddr) -> Config {
    let retry = Retry { attempts: 3, initial: Duration::from_millis(1), longest: Duration::from_millis(5) };
    let endpoint = Endpoint::parse(&format!("http://{address}"), None, 4318).unwrap();
    let timeout = Duration::from_secs(5);
    Config { protocol: Protocol::HttpProtobuf, retry, timeout, ..Config::new(endpoint) }
}

async fn deliver(config: &Config) -> Delivery {
    let batch: Vec<Arc<Record>> = vec![Arc::new(common::forwarded(true))];
    Otlp::new(config, Resource::new("router")).unwrap().deliver(&batch).await
}

#[tokio::test]
async fn a_batch_arrives_whole_also_compressed() {
    let (address, mut received, _tasks) = collector(vec![]).await;
    let mut config = config(address);
    config.headers.push(("DD-API-Key".to_owned(), "hush".to_owned()));
    assert_eq!(deliver(&config).await, Delivery::Delivered);
    config.compression = Compression::Gzip;
    assert_eq!(deliver(&config).await, Delivery::Delivered);

    let (path, headers, plain) = received.recv().await.unwrap();
    assert_eq!(path, "/v1/traces");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["dd-api-key"], "hush");
    let message = ExportTraceServiceRequest::decode(plain.clone()).unwrap();
    assert_eq!(message.resource_spans[0].scope_spans[0].spans.len(), 11);

    let (_, headers, compressed) = received.recv().await.unwrap();
    assert_eq!(headers["content-encoding"], "gzip");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    assert!(compressed.len() < plain.len());
}

#[tokio::test]
async fn throttling_is_waited_out_and_a_refusal_is_final() {
    let throttled = Response::builder().status(429).header("retry-after", "0").body(Full::default()).unwrap();
    let (address, mut received, _tasks) = collector(vec![throttled, status(503)]).await;
    assert_eq!(deliver(&config(address)).await, Delivery::Delivered);
    for _ in 0..3 {
        assert!(received.try_recv().is_ok());
    }
    let (address, mut received, _tasks) = collector(vec![status(400)]).await;
    assert_eq!(deliver(&config(address)).await, Delivery::Failed);
    assert!(received.try_recv().is_ok() && received.try_recv().is_err());
}

#[tokio::test]
async fn partial_success_is_counted_and_a_web_page_is_no_success() {
    let partial = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess { rejected_spans: 4, error_message: String::new() }),
    };
    let answer = |content_type: &str, body: Vec<u8>| {
        Response::builder().header("content-type", content_type).body(Full::new(body.into())).unwrap()
    };
    let script = vec![
        answer("application/x-protobuf", partial.encode_to_vec()),
        answer("text/html", b"<html>welcome</html>".to_vec()),
    ];
    let (address, _received, _tasks) = collector(script).await;
    let config = config(address);
    assert_eq!(deliver(&config).await, Delivery::Partial { rejected_spans: 4 });
    assert_eq!(deliver(&config).await, Delivery::Failed);
}

#[tokio::test]
async fn an_endpoint_that_refuses_hangs_or_never_ends_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hanging = Config { timeout: Duration::from_millis(50), ..config(address) };
    assert_eq!(deliver(&hanging).await, Delivery::Failed, "connections wait and nobody answers");
    // Bound but not listening: refused for certain, since nobody else can take the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    assert_eq!(deliver(&config(address)).await, Delivery::Failed, "nobody is there");
    let endless = Response::new(Full::new(vec![0_u8; 1 << 20].into()));
    let retry = Retry { attempts: 1, ..config(address).retry };
    let (address, _received, _tasks) = collector(vec![endless]).await;
    assert_eq!(deliver(&Config { retry, ..config(address) }).await, Delivery::Failed, "no answer is so long");
}

#[tokio::test]
async fn a_collector_that_asks_for_an_hour_is_asked_again_within_the_bound() {
    let throttled =
        || Response::builder().status(429).header("retry-after", "3600").body(Full::default()).unwrap();
    let (address, mut received, _tasks) = collector(vec![throttled(), throttled(), throttled()]).await;
    assert_eq!(deliver(&config(address)).await, Delivery::Failed);
    for _ in 0..3 {
        assert!(received.try_recv().is_ok());
    }
}

#[tokio::test]
async fn a_web_server_is_no_collector_over_grpc_either() {
    let page = || Response::builder().header("content-type", "text/html").body(Full::default()).unwrap();
    let (address, _received, _tasks) = collector(vec![page(), page(), page()]).await;
    let config = Config { protocol: Protocol::Grpc, ..config(address) };
    assert_eq!(deliver(&config).await, Delivery::Failed);
}
