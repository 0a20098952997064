//! A server for the W3C's trace-context test suite (<https://github.com/w3c/trace-context/tree/main/test>).
//!
//! For each request it begins a record as the HTTP door does, and for each element of the JSON array
//! `[{"url": …, "arguments": […]}]` in its body it POSTs the arguments to the URL, with the headers that a call to a
//! backend would get. It says where it listens; port 0 is the kernel's choice. Run it, and the suite against it:
//!
//! ```sh
//! cargo run --release --example trace_context_harness -- 5000
//! STRICT_LEVEL=2 SPEC_LEVEL=2 python3 test/test.py http://127.0.0.1:5000/
//! ```
//!
//! The end-to-end test `trace_context::the_official_suite_passes` does both, where it is told of a checkout.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use gateway::tracing_policy::TracingPolicy;
use pipeline::policy::{Address, Credentials, Endpoint, Timeouts};
use serde_json::Value;
use trace::{Clock, Door, Record, RequestFacts, Stage, Text};
use upstream::{Call, Client, ClientConfig};

/// The suite's own server answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a port that the kernel chose has to be told")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("give the port to listen on")?.parse()?;
    let client = Arc::new(Client::new(ClientConfig::default())?);
    let router = Router::new().fallback(relay).with_state(client);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn relay(State(client): State<Arc<Client>>, headers: HeaderMap, body: Bytes) -> Response {
    let calls: Vec<Value> = match serde_json::from_slice(&body) {
        Ok(calls) => calls,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let mut record = begin(&headers);
    for call in calls {
        if let Err(error) = send(&client, &mut record, &call).await {
            return (StatusCode::BAD_GATEWAY, error.to_string()).into_response();
        }
    }
    StatusCode::OK.into_response()
}

/// Begins a record as the HTTP door does.
fn begin(headers: &HeaderMap) -> Record {
    let policy = TracingPolicy::default();
    let values = |name: &str| headers.get_all(name).into_iter().map(HeaderValue::as_bytes).collect();
    let incoming = policy.propagators.extract(&values);
    let facts = RequestFacts::new(Text::trusted("harness"), Door::Http, "POST", Text::trusted("/"), "/");
    policy.begin(Clock::start(), incoming, facts)
}

/// POSTs the arguments of one call, with the headers of a call to a backend.
async fn send(client: &Client, record: &mut Record, call: &Value) -> Result<(), Box<dyn Error>> {
    let url: Uri = call["url"].as_str().ok_or("a call has no url")?.parse()?;
    let span = record.begin(Stage::UpstreamRequest);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Some(context) = record.send_under(span) {
        for (name, value) in record.propagators.inject(&context) {
            headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value)?);
        }
    }
    let call = Call {
        endpoint: Arc::new(endpoint(&url)?),
        path: Arc::from(url.path_and_query().map_or("/", |path| path.as_str())),
        headers,
        body: Bytes::from(call["arguments"].to_string()),
        deadline: Instant::now() + PATIENCE,
    };
    let mut answer = client.send(call).await.map_err(|fault| fault.description.to_string())?;
    while let Some(chunk) = answer.body.next().await {
        chunk.map_err(|fault| fault.description.to_string())?;
    }
    Ok(())
}

fn endpoint(url: &Uri) -> Result<Endpoint, Box<dyn Error>> {
    let host = url.host().ok_or("a url has no host")?;
    let port = url.port_u16().unwrap_or(80);
    Ok(Endpoint {
        name: Arc::from("suite"),
        address: Address {
            origin: Arc::from(format!("http://{host}:{port}")),
            tls: false,
            host: Arc::from(host),
            port,
        },
        path_prefix: Arc::from(""),
        weight: 1,
        max_parallel: None,
        timeouts: Timeouts { connect: PATIENCE, first_token: PATIENCE, idle: PATIENCE, total: PATIENCE },
        credentials: Credentials::None,
        headers: Vec::new(),
        dialects: Vec::new(),
        internal: true,
        ask_usage: false,
    })
}
