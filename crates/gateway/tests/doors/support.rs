//! A router on a port of its own in front of simulated backends, and a client of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use dialects::Dialect;
use gateway::access::{Access, Network};
use gateway::extproc::{ExtProcDoor, Names, OnUnroutable};
use gateway::http::{HttpDoor, Limits, Service};
use gateway::in_flight::InFlight;
use gateway::listener::Listener;
use gateway::tls::Tls;
use gateway::tracing_policy::TracingPolicy;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pipeline::Pipeline;
use pipeline::policy::*;
use pipeline::ports::Ports;
use serde_json::{Value, json};
use simulator::{Answer, Reasoning, Script, Simulator};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trace::RecordSink;

use crate::ports::{Domains, Forgetful, Jailbreaks, Kept, Memory, Pii};

/// What a test chooses; the rest is the usual.
pub(crate) struct Setup {
    pub(crate) policy: Policy,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) in_flight: usize,
    pub(crate) tracing: TracingPolicy,
    pub(crate) ready: Result<(), String>,
    pub(crate) on_unroutable: OnUnroutable,
    pub(crate) decision_timeout: Duration,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// A running router.
pub(crate) struct Router {
    pub(crate) address: SocketAddr,
    pub(crate) kept: Arc<Kept>,
    pub(crate) in_flight: Arc<InFlight>,
    client: Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// An answer, read to its end.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(crate) fn code(&self) -> String {
        let body = self.json();
        assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{body}");
        assert!(body["error"]["type"].is_string() && body["error"].get("param").is_some(), "{body}");
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A backend that answers at once; `faults` as the simulator writes them.
pub(crate) async fn backend(name: &str, faults: &[&str]) -> Simulator {
    saying(name, &format!("{name} says: a b c d e f g"), faults).await
}

/// A backend that says `text`, in which `{prompt}` is the prompt.
pub(crate) async fn saying(name: &str, text: &str, faults: &[&str]) -> Simulator {
    let script = Script {
        name: name.to_owned(),
        any_model: true,
        reasoning: Reasoning::Never,
        answer: Answer { table: Vec::new(), otherwise: Some(text.to_owned()) },
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..Script::default()
    };
    Simulator::start(script, ([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// An address where nobody listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}

pub(crate) fn endpoint(name: &str, address: SocketAddr) -> Endpoint {
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_token: Duration::from_secs(10),
        idle: Duration::from_secs(10),
        total: Duration::from_secs(30),
    };
    Endpoint {
        name: Arc::from(name),
        address: Address {
            origin: Arc::from(format!("http://{address}")),
            tls: false,
            host: Arc::from(address.ip().to_string()),
            port: address.port(),
        },
        path_prefix: Arc::from(""),
        weight: 1,
        max_parallel: None,
        timeouts,
        credentials: Credentials::None,
        headers: Vec::new(),
        dialects: Dialect::ALL.to_vec(),
        internal: false,
        ask_usage: true,
    }
}

pub(crate) fn model(name: &str, category: &str, endpoints: Vec<Endpoint>) -> Arc<Model> {
    Arc::new(Model {
        name: Arc::from(name),
        upstream_name: Arc::from(name),
        category: Some(Arc::from(category)),
        provider: Arc::from("vllm"),
        version: None,
        endpoints: endpoints.into_iter().map(Arc::new).collect(),
        context_length: None,
        price: None,
        reasoning_family: None,
        pii: PiiAllowance::Everything,
        any_model: false,
    })
}

/// A small model at one address and a large one, for math, at another.
pub(crate) fn policy(small: SocketAddr, large: SocketAddr) -> Policy {
    let models = vec![
        model("small", "general", vec![endpoint("small-1", small)]),
        model("large", "reasoning", vec![endpoint("large-1", large)]),
    ];
    policy_of(models)
}

pub(crate) fn policy_of(models: Vec<Arc<Model>>) -> Policy {
    let group = |name: &str, category: &str| Group {
        name: Arc::from(name),
        categories: vec![Arc::from(category)],
        takes_low_confidence: name == "general",
    };
    let block = Action::Block(Block { answer: BlockAnswer::Error, message: None });
    let rule = |name: &str, signal, action| Decision {
        name: Arc::from(name),
        when: Expression::Signal(signal),
        action,
    };
    let signal =
        |name: &str, measure| Signal { name: Arc::from(name), subject: Subject::Conversation, measure };
    Policy {
        version: Arc::from("test"),
        signals: vec![
            signal("jailbreak", Measure::Jailbreak { threshold: 0.7 }),
            signal("pii", Measure::Pii { types: Vec::new(), threshold: 0.5 }),
        ],
        decisions: vec![rule("block-jailbreak", 0, block), rule("mask-pii", 1, Action::Mask(None))],
        default_model: (!models.is_empty()).then_some(0),
        models,
        groups: vec![group("general", "other"), group("reasoning", "math")],
        category_threshold: 0.5,
        category_subject: Subject::LastUserMessage,
        guards: Guards {
            pii_threshold: 0.5,
            jailbreak_threshold: 0.7,
            time_limit: Duration::from_secs(60),
            on_failure: OnFailure {
                classification: FailurePolicy::Skip,
                pii_detection: FailurePolicy::Refuse,
                jailbreak_detection: FailurePolicy::Refuse,
                cache_lookup: FailurePolicy::Skip,
            },
        },
        cache: CachePolicy {
            enabled: true,
            scope: CacheScope::Principal,
            ttl: Duration::from_secs(60),
            max_entry_bytes: 1 << 20,
            allow_tools: false,
            allow_images: false,
            allow_several_choices: false,
            max_temperature: 1.0,
        },
        conversations: ConversationPolicy { enabled: false, short_follow_up_words: 6 },
        failover: Failover { statuses: vec![429, 503], max_attempts: 3 },
        answer_limit_bytes: 1 << 20,
        unmask: true,
    }
}

impl Setup {
    pub(crate) fn new(policy: Policy) -> Setup {
        Setup {
            policy,
            limits: Limits { drain: Duration::from_secs(5), ..Limits::default() },
            access: Access { trusted_peers: Network::loopback(), ..Access::default() },
            in_flight: 100,
            tracing: TracingPolicy::default(),
            ready: Ok(()),
            on_unroutable: OnUnroutable::Refuse,
            tls: None,
            decision_timeout: Duration::from_secs(10),
        }
    }

    /// Envoy's door, and where its records go.
    pub(crate) fn extproc(self) -> (ExtProcDoor, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let door = ExtProcDoor {
            pipeline: Arc::new(ArcSwap::from_pointee(Pipeline::new(self.policy, ports()))),
            sink: Arc::clone(&kept) as Arc<dyn RecordSink>,
            tracing: Arc::new(ArcSwap::from_pointee(self.tracing)),
            access: Arc::new(ArcSwap::from_pointee(self.access)),
            limits: self.limits,
            in_flight: InFlight::new(self.in_flight),
            decision_timeout: self.decision_timeout,
            on_unroutable: self.on_unroutable,
            names: Names::default(),
        };
        (door, kept)
    }

    pub(crate) async fn start(self) -> Router {
        let kept = Arc::new(Kept::default());
        let in_flight = InFlight::new(self.in_flight);
        let ready = self.ready;
        let door = HttpDoor {
            pipeline: Arc::new(ArcSwap::from_pointee(Pipeline::new(self.policy, ports()))),
            client: upstream::Client::new(upstream::ClientConfig::default()).unwrap(),
            sink: Arc::clone(&kept) as Arc<dyn RecordSink>,
            tracing: Arc::new(ArcSwap::from_pointee(self.tracing)),
            access: Arc::new(ArcSwap::from_pointee(self.access)),
            limits: self.limits,
            in_flight: Arc::clone(&in_flight),
            ready: Arc::new(move || ready.clone()),
            service: Service {
                name: Arc::from("semantic-router"),
                version: "1.2.3",
                started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            },
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let listener = Listener { tcp: listener, tls: self.tls };
        let serving = tokio::spawn(gateway::http::serve(listener, Arc::new(door), async {
            let _ = stopped.await;
        }));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Router { address, kept, in_flight, client, stop: Some(stop), serving }
    }
}

fn ports() -> Ports {
    Ports {
        domain: Arc::new(Domains),
        jailbreak: Arc::new(Jailbreaks),
        pii: Arc::new(Pii),
        cache: Arc::new(Memory::default()),
        conversations: Arc::new(Forgetful),
        backends: Arc::new(upstream::Pool::new(upstream::BalanceConfig::default())),
    }
}

impl Router {
    /// The usual router in front of two backends.
    pub(crate) async fn of(small: &Simulator, large: &Simulator) -> Router {
        Setup::new(policy(small.address(), large.address())).start().await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        let sending = self.client.request(request);
        tokio::time::timeout(Duration::from_secs(20), sending)
            .await
            .expect("an answer comes in time")
            .unwrap()
    }

    pub(crate) async fn call(&self, request: Request<Full<Bytes>>) -> Answered {
        let (head, body) = self.send(request).await.into_parts();
        let body = tokio::time::timeout(Duration::from_secs(20), body.collect()).await.unwrap();
        Answered { status: head.status, headers: head.headers, body: body.unwrap().to_bytes() }
    }

    pub(crate) fn request(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let uri = format!("http://{}{path}", self.address);
        Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.call(self.request(Method::GET, path, Bytes::new())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answered {
        self.call(self.request(Method::POST, path, body.to_string())).await
    }

    pub(crate) async fn chat(&self, prompt: &str) -> Answered {
        self.post("/v1/chat/completions", &chat(prompt)).await
    }

    /// What asks the door to close.
    pub(crate) fn stopper(&mut self) -> oneshot::Sender<()> {
        self.stop.take().unwrap()
    }

    /// Waits until the door has closed.
    pub(crate) async fn closed(self) {
        tokio::time::timeout(Duration::from_secs(20), self.serving).await.expect("the door closes").unwrap();
    }
}

pub(crate) fn chat(prompt: &str) -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]})
}

pub(crate) fn stream(prompt: &str) -> Value {
    json!({"model": "auto", "stream": true, "messages": [{"role": "user", "content": prompt}]})
}

/// The data of each event of a stream.
pub(crate) fn events(body: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(body).unwrap();
    text.split("\n\n")
        .filter_map(|event| event.trim().strip_prefix("data:").map(|data| data.trim().to_owned()))
        .collect()
}

/// What a stream says.
pub(crate) fn said(events: &[String]) -> String {
    events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}
