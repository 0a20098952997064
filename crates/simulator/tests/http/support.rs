//! Clients for the tests: hyper's, for what HTTP can say, and a bare socket, for what it cannot.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use simulator::{Script, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Long enough for a loaded machine; nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn start(script: Script) -> Simulator {
    Simulator::start(script, SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap()
}

/// A simulator with these rules and an answer of ten tokens.
pub(crate) async fn faulty(rules: &[&str]) -> Simulator {
    start(faulty_script(rules)).await
}

pub(crate) fn faulty_script(rules: &[&str]) -> Script {
    let faults = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Script { faults, output_tokens: Some(10), ..Script::default() }
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://simulator{path}")).header("host", "simulator");
    request.header("content-type", "application/json").body(Full::new(body.into())).unwrap()
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://simulator{path}")).header("host", "simulator").body(Full::default()).unwrap()
}

/// A chat request with these additional fields.
pub(crate) fn chat(prompt: &str, fields: Value) -> Request<Full<Bytes>> {
    let mut body =
        serde_json::json!({"model": "simulated-model", "messages": [{"role": "user", "content": prompt}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    post("/v1/chat/completions", body.to_string())
}

pub(crate) async fn send(
    simulator: &Simulator,
    mut request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let stream = TcpStream::connect(simulator.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    *request.uri_mut() = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
    sender.send_request(request).await
}

/// Sends over HTTP/2 with prior knowledge.
pub(crate) async fn send_h2(
    simulator: &Simulator,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Incoming>> {
    let stream = TcpStream::connect(simulator.address()).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    sender.send_request(request).await
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The JSON of every frame but the last, which must be `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let rest = self.body.strip_suffix("data: [DONE]\n\n").expect("the stream ends with [DONE]");
        let frames = rest.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap());
        frames.map(|frame| serde_json::from_str(frame).unwrap()).collect()
    }
}

pub(crate) async fn whole(response: Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn ask(simulator: &Simulator, request: Request<Full<Bytes>>) -> Answer {
    whole(send(simulator, request).await.unwrap()).await
}

/// What a bare socket got before the connection ended, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// Sends a chat request over a bare socket and reads to the connection's end. `connection: close` is not sent, so
/// that only a fault ends it.
pub(crate) async fn raw_chat(simulator: &Simulator, prompt: &str, stream: &str) -> (String, End) {
    let mut socket = raw_request(simulator, prompt, stream).await;
    let mut got = Vec::new();
    let end = match socket.read_to_end(&mut got).await {
        Ok(_) => End::Closed,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
        Err(error) => panic!("unexpected end: {error}"),
    };
    (String::from_utf8_lossy(&got).into_owned(), end)
}

pub(crate) async fn raw_request(simulator: &Simulator, prompt: &str, stream: &str) -> TcpStream {
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{prompt}"}}],"stream":{stream}}}"#);
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut socket = TcpStream::connect(simulator.address()).await.unwrap();
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    socket
}
