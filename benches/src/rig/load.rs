//! The clients: each keeps one connection, and sends its next request when the answer to the last one is whole (a
//! closed loop). A request is written as it was prepared and an answer is read only as far as its length, so that the
//! clients take as little of the machine as they can.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Failure;

/// Requests of each client that are sent before the clock starts.
const WARM_UP: Duration = Duration::from_millis(100);

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a connection that is closed early is called.
const CLOSED: &str = "the connection was closed within an answer";

/// In which form the answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON body.
    Json,
    /// A stream of events.
    Stream,
}

impl Form {
    /// Both.
    pub(crate) const ALL: [Form; 2] = [Form::Json, Form::Stream];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Json => "JSON",
            Form::Stream => "SSE",
        }
    }
}

/// What one slice of load gave.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Time from the first byte written to the last byte read, of each request, in nanoseconds; sorted.
    pub(crate) latencies_ns: Vec<u64>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// Sends requests from `clients` connections for a time. `begin` is called when the clock starts.
pub(crate) fn run(
    address: SocketAddr,
    form: Form,
    clients: usize,
    duration: Duration,
    begin: impl FnOnce(),
) -> Result<Slice, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let request = request(address, form);
        let mut connections = Vec::with_capacity(clients);
        for _ in 0..clients {
            connections.push(Connection::open(address).await?);
        }
        let (connections, _) = all(connections, &request, WARM_UP).await?;
        begin();
        let start = Instant::now();
        let (_, mut latencies_ns) = all(connections, &request, duration).await?;
        let elapsed = start.elapsed();
        latencies_ns.sort_unstable();
        Ok(Slice { latencies_ns, elapsed })
    })
}

/// The request that all clients send: a question of ordinary length, about mathematics, so that the decision with a
/// system prompt holds.
pub(crate) fn request(address: SocketAddr, form: Form) -> Vec<u8> {
    let stream = form == Form::Stream;
    let body = format!(
        r#"{{"model":"auto","stream":{stream},"max_tokens":256,"messages":[{{"role":"user","content":"What is the derivative of x^3 + 2x^2 with respect to x, and how does the integral of the result relate to the function that we began with? Please explain the rule for each term of the polynomial."}}]}}"#
    );
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: benches\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Every connection until the time is over; the connections, and all latencies.
async fn all(
    connections: Vec<Connection>,
    request: &[u8],
    duration: Duration,
) -> Result<(Vec<Connection>, Vec<u64>), Failure> {
    let until = Instant::now() + duration;
    let mut clients = JoinSet::new();
    for mut connection in connections {
        let request = request.to_vec();
        clients.spawn(async move {
            let mut latencies = Vec::with_capacity(1 << 16);
            loop {
                let start = Instant::now();
                if start >= until {
                    return Ok::<_, Failure>((connection, latencies));
                }
                tokio::time::timeout(PATIENCE, connection.exchange(&request)).await??;
                latencies.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
        });
    }
    let (mut connections, mut latencies) = (Vec::new(), Vec::new());
    while let Some(client) = clients.join_next().await {
        let (connection, each) = client??;
        connections.push(connection);
        latencies.extend(each);
    }
    Ok((connections, latencies))
}

/// The length of an answer with its head, once the head is there; it must be a success of a given length.
pub(crate) fn whole_length(answer: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(end) = memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
    match framing(&answer[..end + 4])? {
        Framing::Length(body) => Ok(Some(end + 4 + body)),
        Framing::Chunked => Err("an answer without a length".into()),
    }
}

/// One client.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// How the end of an answer is found.
enum Framing {
    /// After so many bytes in all, the head included.
    Length(usize),
    /// After the last chunk.
    Chunked,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: BytesMut::with_capacity(1 << 16) })
    }

    /// Sends a request and reads its answer, which must be a success.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(request).await?;
        let framing = self.head().await?;
        while !self.is_whole(&framing) {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(CLOSED.into());
            }
        }
        self.buffer.clear();
        Ok(())
    }

    async fn head(&mut self) -> Result<Framing, Failure> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                let (head, _) = self.buffer.split_at(end + 4);
                let (framing, length) = (framing(head)?, head.len());
                return Ok(match framing {
                    Framing::Length(body) => Framing::Length(length + body),
                    Framing::Chunked => {
                        // Only the body is searched for its end.
                        self.buffer.advance(length);
                        Framing::Chunked
                    }
                });
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(CLOSED.into());
            }
        }
    }

    /// The answers here hold no carriage return, so that the last chunk can be recognised by its bytes.
    fn is_whole(&self, framing: &Framing) -> bool {
        match framing {
            Framing::Length(length) => self.buffer.len() >= *length,
            Framing::Chunked => self.buffer.ends_with(b"\r\n0\r\n\r\n") || *self.buffer == *b"0\r\n\r\n",
        }
    }
}

fn framing(head: &[u8]) -> Result<Framing, Failure> {
    let head = std::str::from_utf8(head)?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("not a success: {}", head.lines().next().unwrap_or_default()).into());
    }
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(Framing::Length(value.trim().parse()?));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Framing::Chunked);
        }
    }
    Err("an answer of unknown length".into())
}
