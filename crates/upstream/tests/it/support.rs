//! Backends that do exactly what a test writes, and calls to them.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dialects::Dialect;
use http::{HeaderMap, HeaderValue};
use pipeline::exchange::{UpstreamFault, UpstreamFaultKind};
use pipeline::policy::{Address, Credentials, Endpoint, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use upstream::{Answer, Call, Client, ClientConfig};

/// Stands in every request and in no description of a fault.
pub(crate) const SECRET: &str = "very-secret-value";

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener that hands each connection to a function.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    listener: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start<Serving>(
        serve: impl Fn(TcpStream) -> Serving + Send + Sync + 'static,
    ) -> Backend
    where
        Serving: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Backend { address, connections, listener }
    }

    /// Answers every request on every connection with these bytes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Backend {
        let answer: Arc<[u8]> = answer.into().into();
        Backend::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                while read_request(&mut stream).await.is_some() {
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Writes these bytes after the first request and closes the connection.
    pub(crate) async fn saying(answer: impl Into<Vec<u8>>) -> Backend {
        let answer: Arc<[u8]> = answer.into().into();
        Backend::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Reads one request with its body; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if text.len() >= end + 4 + length {
                return Some(text.into_owned());
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => request.extend_from_slice(&chunk[..length]),
        }
    }
}

/// Reads until the peer closes the connection, in whatever way.
pub(crate) async fn closed_by_peer(stream: &mut TcpStream) {
    let mut chunk = [0; 4096];
    while let Ok(1..) = stream.read(&mut chunk).await {}
}

/// An answer with a length.
pub(crate) fn http(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The head of an answer in chunks.
pub(crate) const CHUNKED_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// One chunk.
pub(crate) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// An endpoint with limits that no test reaches by accident.
pub(crate) fn endpoint(scheme: &str, host: &str, port: u16) -> Endpoint {
    Endpoint {
        name: Arc::from("tested"),
        address: Address {
            origin: Arc::from(format!("{scheme}://{host}:{port}")),
            tls: scheme == "https",
            host: Arc::from(host),
            port,
        },
        path_prefix: Arc::from(""),
        weight: 1,
        max_parallel: None,
        timeouts: Timeouts { connect: PATIENCE, first_token: PATIENCE, idle: PATIENCE, total: PATIENCE },
        credentials: Credentials::None,
        headers: Vec::new(),
        dialects: vec![Dialect::ChatCompletions],
        internal: false,
        ask_usage: false,
    }
}

pub(crate) fn endpoint_of(backend: &Backend) -> Endpoint {
    endpoint("http", "127.0.0.1", backend.address.port())
}

/// A call with a key in its headers and a short body.
pub(crate) fn call(endpoint: Endpoint) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer very-secret-value"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    Call {
        deadline: Instant::now() + endpoint.timeouts.total,
        endpoint: Arc::new(endpoint),
        path: Arc::from("/v1/chat/completions"),
        headers,
        body: Bytes::from_static(b"{\"model\":\"m\"}"),
    }
}

pub(crate) fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

/// The answer's whole body, or the fault that ended it.
pub(crate) async fn collect(mut answer: Answer) -> Result<String, UpstreamFault> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.body.next().await {
        body.extend_from_slice(&chunk?);
    }
    assert!(answer.body.is_end());
    assert_eq!(answer.body.next().await, None, "nothing follows the end");
    Ok(String::from_utf8(body).unwrap())
}

/// Sends a call and reads its answer to the end.
pub(crate) async fn exchange(client: &Client, call: Call) -> Result<String, UpstreamFault> {
    within_patience(async { collect(client.send(call).await?).await }).await
}

/// What a call fails with; the description names the endpoint and not the key.
pub(crate) async fn fault_of(client: &Client, call: Call) -> (UpstreamFaultKind, String) {
    let address = format!("{}:{}", call.endpoint.address.host, call.endpoint.address.port);
    let Err(fault) = exchange(client, call).await else { panic!("the call did not fail") };
    let description = fault.description.to_string();
    assert!(description.starts_with(&address), "{description}");
    assert!(!description.contains(SECRET), "{description}");
    (fault.kind, description)
}

/// Fails a test that waits for ever.
pub(crate) async fn within_patience<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("nothing happened in {PATIENCE:?}"))
}
