//! A client that sends exactly the bytes it is told to, one request per connection.
//!
//! What it is not: an HTTP library. It knows bodies with a length, in chunks, and up to the end of the connection.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// A client of one address.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// A connection on which something was sent.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Whether the body came to the end that its framing promised.
    pub complete: bool,
}

/// A question to the model that the router chooses.
#[must_use]
pub fn chat(prompt: &str) -> Value {
    json!({ "model": "auto", "messages": [{ "role": "user", "content": prompt }] })
}

/// The same, asking for a stream.
#[must_use]
pub fn streamed(prompt: &str) -> Value {
    let mut body = chat(prompt);
    body["stream"] = true.into();
    body
}

/// A POST of these bytes, as they go over the wire. `headers` are whole lines.
#[must_use]
pub fn post(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: router\r\nconnection: close\r\n");
    for line in headers.iter().copied().chain(["content-type: application/json"]) {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

impl Client {
    /// A client of this address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Client {
        Client { address }
    }

    /// Whom it asks.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a path.
    pub async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: router\r\nconnection: close\r\n\r\n");
        self.send(request.as_bytes()).await
    }

    /// Sends a chat request.
    pub async fn chat(&self, body: &Value) -> Answer {
        self.chat_with(&[], body).await
    }

    /// Sends a chat request with further header lines.
    pub async fn chat_with(&self, headers: &[&str], body: &Value) -> Answer {
        self.post("/v1/chat/completions", headers, body.to_string().as_bytes()).await
    }

    /// Posts a body.
    pub async fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.send(&post(path, headers, body)).await
    }

    /// Sends bytes and reads the answer to the end of the connection.
    pub async fn send(&self, request: &[u8]) -> Answer {
        self.open(request).await.answer().await
    }

    /// Sends bytes and leaves the connection open. A router that answers before it has read everything is no fault.
    pub async fn open(&self, request: &[u8]) -> Connection {
        let mut stream = TcpStream::connect(self.address).await.expect("the door is open");
        // The answer says what became of bytes that were not taken.
        let _ = stream.write_all(request).await;
        Connection { stream, received: Vec::new() }
    }
}

impl Connection {
    /// Sends more.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads until `part` has come.
    pub async fn until(&mut self, part: &str) {
        let reading = async {
            while !contains(&self.received, part.as_bytes()) {
                let count = self.stream.read_buf(&mut self.received).await.expect("the connection holds");
                assert!(
                    count > 0,
                    "the connection ended before {part:?}: {}",
                    String::from_utf8_lossy(&self.received)
                );
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the answer goes on");
    }

    /// Waits until the router closes the connection, whatever it says before.
    pub async fn until_end(&mut self) {
        let reading = self.stream.read_to_end(&mut self.received);
        // A reset ends it too.
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("the connection ends");
    }

    /// Reads to the end of the connection.
    pub async fn answer(mut self) -> Answer {
        self.until_end().await;
        Answer::parse(&self.received)
    }

    /// Closes the connection.
    pub fn leave(self) {}
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Answer {
    fn parse(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head of an answer came, only {text:?}"));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("this is no answer: {text:?}")),
            headers,
            body: bytes[end + 4..].to_vec(),
            complete: true,
        };
        answer.unframe();
        answer
    }

    fn unframe(&mut self) {
        if self.header("transfer-encoding") == Some("chunked") {
            (self.body, self.complete) = chunks(&self.body);
        } else if let Some(length) =
            self.header("content-length").and_then(|length| length.parse::<usize>().ok())
        {
            self.complete = self.body.len() == length;
        }
    }

    /// The value of a header; its first one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The trace that the answer names.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.header("x-trace-id").unwrap_or_else(|| panic!("no x-trace-id: {self:?}"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The status and `error.code`; empty where there is none.
    #[must_use]
    pub fn error(&self) -> (u16, String) {
        let code = serde_json::from_slice(&self.body)
            .ok()
            .and_then(|body: Value| body["error"]["code"].as_str().map(str::to_owned));
        (self.status, code.unwrap_or_default())
    }

    /// What the model said, whether as JSON or as a stream.
    #[must_use]
    pub fn content(&self) -> String {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let events = self.events();
            return events
                .iter()
                .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
                .collect();
        }
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON of the stream's events, without `[DONE]`.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let data = self.text();
        let data = data.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
        let event = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        data.filter(|text| *text != "[DONE]").map(event).collect()
    }

    /// Whether the stream ended with `[DONE]`.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.text().trim_end().ends_with("data: [DONE]")
    }
}

/// Takes `transfer-encoding: chunked` apart: the body, and whether the last chunk came.
fn chunks(mut framed: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = framed.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&framed[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size else { break };
        if size == 0 {
            return (body, true);
        }
        let chunk = &framed[end + 2..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        framed = chunk.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}
