//! What Jaeger's query API gives back is what the router's terminal showed and what the client and the engine did.

use std::collections::BTreeSet;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Map, Value, json};
use simulator::{Script, Traces};
use tests::client::{Client, chat};
use tests::configuration::{Configuration, model};
use tests::real_parts::{JAEGER, PYTHON, found, traced_question};
use tests::router::{Left, Router};
use tests::service::{Service, until};
use tests::span::{self, Span};
use tests::{backend, bounded};
use tokio::process::Command;

/// A running Jaeger that keeps its traces in memory.
pub(crate) struct Jaeger {
    service: Service,
    /// Where it takes OTLP over gRPC, `host:port`.
    pub(crate) grpc: String,
    /// Where it takes OTLP over HTTP, `host:port`.
    pub(crate) http: String,
    api: Client,
}

impl Jaeger {
    pub(crate) async fn start(program: &Path) -> Jaeger {
        Jaeger::start_with(program, &[]).await
    }

    async fn start_with(program: &Path, arguments: &[String]) -> Jaeger {
        // Every door that it has, lest one of them be a fixed port.
        const DOORS: [&str; 7] = [
            "collector.otlp.grpc",
            "collector.otlp.http",
            "query.http-server",
            "query.grpc-server",
            "admin.http",
            "collector.grpc-server",
            "collector.http-server",
        ];
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("OTEL_TRACES_SAMPLER", "always_off");
        for (number, door) in (1..).zip(DOORS) {
            command.arg(format!("--{door}.host-port=127.0.0.{number}:0"));
        }
        let service = Service::start(command, &[1, 2, 3, 4, 5, 6, 7]).await;
        let door = |position| service.door(position).to_string();
        let (grpc, http, api) = (door(0), door(1), Client::of(service.door(2)));
        Jaeger { service, grpc, http, api }
    }

    /// `data` of an answer of the query API; null where it has none yet.
    pub(crate) async fn asked(&self, path: &str) -> Value {
        let answer = self.api.get(path).await;
        if answer.status == 200 { answer.json()["data"].clone() } else { Value::Null }
    }

    /// A trace, once it has this many spans, each in the words of the collector's reader.
    pub(crate) async fn trace(&self, id: &str, count: usize) -> Vec<Value> {
        until(&format!("trace {id} with {count} spans"), || async {
            let data = self.asked(&format!("/api/traces/{id}")).await;
            let spans = told(&data[0]);
            (spans.len() == count).then_some(spans)
        })
        .await
    }

    pub(crate) async fn end(self) {
        assert_eq!(self.service.end().await.code, Some(0), "Jaeger ends well");
    }
}

/// A trace of Jaeger's JSON as spans. What Jaeger makes of kind, status and scope are tags there; times are microseconds.
fn told(trace: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&trace["spans"])
        .iter()
        .map(|span| {
            let mut tags = pairs(&span["tags"]);
            let mut tag = |key: &str| tags.remove(key).unwrap_or(Value::Null);
            let (kind, error) = (tag("span.kind"), tag("error"));
            let (code, message) = (tag("otel.status_code"), tag("otel.status_description"));
            let scope = json!({ "name": tag("otel.scope.name"), "version": tag("otel.scope.version") });
            assert_eq!(error == true, code == "ERROR", "its two marks of an error agree: {span}");
            let references = list(&span["references"]);
            let parent = references.iter().find(|reference| reference["refType"] == "CHILD_OF");
            let process = &trace["processes"][span["processID"].as_str().unwrap_or_default()];
            let mut resource = pairs(&process["tags"]);
            resource.insert("service.name".into(), process["serviceName"].clone());
            let start_us = span["startTime"].as_u64().expect("a start");
            json!({
                "trace_id": span["traceID"],
                "span_id": span["spanID"],
                "parent_id": parent.map(|parent| parent["spanID"].clone()),
                "name": span["operationName"],
                "kind": kind,
                "start_us": start_us,
                "duration_us": span["duration"],
                "status": { "code": if error == true { "error" } else { "unset" }, "message": message },
                "attributes": tags,
                "events": list(&span["logs"]).iter().map(event).collect::<Vec<_>>(),
                "resource": resource,
                "scope": scope,
                "warnings": span["warnings"],
            })
        })
        .collect()
}

fn event(log: &Value) -> Value {
    let mut fields = pairs(&log["fields"]);
    let name = fields.remove("event");
    json!({ "name": name, "time_us": log["timestamp"], "attributes": fields })
}

fn pairs(tags: &Value) -> Map<String, Value> {
    let tags = tags.as_array().into_iter().flatten();
    tags.map(|tag| (tag["key"].as_str().unwrap_or_default().to_owned(), tag["value"].clone())).collect()
}

/// What Jaeger makes of a span of the terminal: lists become texts, times lose what is below a microsecond, and numbers
/// have one type.
fn expected(span: &Span) -> Value {
    let mut told = span.told();
    for field in ["attributes", "resource"] {
        told[field] = flat(&told[field]);
    }
    let events = told["events"].as_array().cloned().unwrap_or_default();
    let events = events.iter().map(|event| {
        let time_us = event["time_ns"].as_u64().map(|ns| ns / 1000);
        json!({ "name": event["name"], "time_us": time_us, "attributes": flat(&event["attributes"]) })
    });
    told["events"] = events.collect();
    told["start_us"] = (span.start_ns / 1000).into();
    told["duration_us"] = (span.duration_ns / 1000).into();
    if told["status"]["message"] == "" {
        told["status"]["message"] = Value::Null;
    }
    told["warnings"] = Value::Null;
    let fields = told.as_object_mut().expect("a span is an object");
    for gone in ["start_ns", "end_ns", "links"] {
        fields.remove(gone);
    }
    told
}

fn flat(attributes: &Value) -> Value {
    let entries = attributes.as_object().into_iter().flatten();
    let flat = entries.map(|(key, value)| {
        let value = match value {
            Value::Array(_) => value.to_string().into(),
            // It writes 0.0 as 0.
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
                number.as_f64().map_or(Value::Null, |number| json!(number as i64))
            }
            other => other.clone(),
        };
        (key.clone(), value)
    });
    flat.collect::<Map<_, _>>().into()
}

#[test]
fn jaeger_gives_back_over_grpc_what_was_done() {
    given_back("jaeger::jaeger_gives_back_over_grpc_what_was_done", |jaeger| {
        format!("type: otlp, endpoint: '{}', insecure: true", jaeger.grpc)
    });
}

#[test]
fn jaeger_gives_back_over_http_what_was_done() {
    given_back("jaeger::jaeger_gives_back_over_http_what_was_done", |jaeger| {
        format!("type: otlp, protocol: http/protobuf, compression: gzip, endpoint: 'http://{}'", jaeger.http)
    });
}

/// The client and the engine export over gRPC, the router as `exporter` says.
fn given_back(test: &str, exporter: fn(&Jaeger) -> String) {
    let Some(python) = found(test, PYTHON) else { return };
    let Some(program) = found(test, JAEGER) else { return };
    bounded(async {
        let jaeger = Jaeger::start(&program).await;
        let traces =
            Traces { endpoint: jaeger.grpc.parse().expect("an endpoint"), service: Traces::SERVICE.into() };
        let faults = ["status=503@prompt=busy", "cut-after=3@prompt=cut"];
        let engine =
            backend::scripted(Script { traces: Some(traces), ..backend::script("small", &faults) }).await;
        let router = Router::start(Configuration::exactly(format!(
            "listen: {{ http: '127.0.0.1:0', metrics: off, admin: off }}\nmodels:\n  - {}\nobservability:\n  tracing:\n    \
             exporter: [{{ type: stdout, format: json }}, {{ {} }}]\n    sampling: {{ type: always_on }}\n",
            model("small", "pricing: { prompt: 1.5, completion: 2 }", &[("backend-1", &engine)]),
            exporter(&jaeger)
        )))
        .await;
        let variables = [("PROMPT", "Hello")];
        let told = traced_question(
            &python,
            &["openinference", "stream"],
            &router.base_url(),
            &jaeger.grpc,
            &variables,
        )
        .await;
        let client = router.client();
        let mut ids = Vec::new();
        for body in [chat("Hi"), chat("Hi"), chat("busy"), tests::client::streamed("cut")] {
            ids.push(client.chat(&body).await.trace_id().to_owned());
        }
        let left = router.end().await;
        assert_eq!(engine.shutdown().await, 0, "the engine delivered its spans");

        // What the router alone did, field by field.
        let mut compared = 0;
        for id in &ids {
            let shown = left.spans(id);
            let engines = usize::from(*id == ids[0]);
            let received = jaeger.trace(id, shown.len() + engines).await;
            let own = received.into_iter().filter(|span| span["name"] != "llm_request");
            compared += shown.len();
            span::assert_same(shown.iter().map(expected).collect(), own.collect());
        }
        assert!(compared > 20, "{compared}");

        // What the three programs did together.
        let id = told["trace_id"].as_str().expect("a trace");
        let others = ["llm_request", "POST", "ChatCompletion", "question"];
        let trace = jaeger.trace(id, left.spans(id).len() + others.len()).await;
        assert_chain(&trace);
        assert_queries(&jaeger, &ids[2]).await;
        jaeger.end().await;
    });
}

/// Both doors want TLS and a client's certificate; the router has one, then none.
#[test]
fn jaeger_takes_spans_over_tls_from_whom_it_knows() {
    let Some(program) = found("jaeger::jaeger_takes_spans_over_tls_from_whom_it_knows", JAEGER) else {
        return;
    };
    bounded(async {
        let folder = tempfile::tempdir().expect("a folder");
        certificates(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let mut arguments = Vec::new();
        for door in ["--collector.otlp.grpc.tls", "--collector.otlp.http.tls"] {
            arguments.push(format!("{door}.enabled"));
            for (option, name) in
                [("cert", "receiver.pem"), ("key", "receiver.key"), ("client-ca", "authority.pem")]
            {
                arguments.push(format!("{door}.{option}={}", file(name)));
            }
        }
        let jaeger = Jaeger::start_with(&program, &arguments).await;
        for (protocol, address) in [("grpc", &jaeger.grpc), ("http/protobuf", &jaeger.http)] {
            let with = |ours: String| {
                let trusted = file("authority.pem");
                format!(
                    "type: otlp, protocol: {protocol}, endpoint: 'https://{address}', retry: {{ attempts: 1 }}, \
                     tls: {{ ca_file: '{trusted}'{ours} }}"
                )
            };
            let ours =
                format!(", certificate_file: '{}', key_file: '{}'", file("router.pem"), file("router.key"));
            let (left, id) = one_request(&with(ours)).await;
            jaeger.trace(&id, left.spans(&id).len()).await;
            assert!(!left.0.stderr.contains("Failed to export"), "{protocol}: {}", left.0.stderr);
            let (left, _) = one_request(&with(String::new())).await;
            assert!(left.0.stderr.contains("Failed to export spans: "), "{protocol}: {}", left.0.stderr);
        }
        jaeger.end().await;
    });
}

/// An authority, and what it signed for a receiver on two loopback addresses and for the router.
fn certificates(folder: &Path) {
    let write =
        |name: &str, text: String| std::fs::write(folder.join(name), text).expect("a file can be written");
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    write("authority.pem", authority.as_ref().pem());
    for (name, names) in [("receiver", &["127.0.0.1", "127.0.0.2"][..]), ("router", &["router"])] {
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let own = key();
        let params = CertificateParams::new(names).expect("names of a certificate");
        let certificate = params.signed_by(&own, &authority).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), own.serialize_pem());
    }
}

/// What a router with this exporter left behind after one request, and the id of its trace.
async fn one_request(exporter: &str) -> (Left, String) {
    let backend = backend::small().await;
    let router = Router::start(Configuration::exactly(format!(
        "listen: {{ http: '127.0.0.1:0', metrics: off, admin: off }}\nmodels:\n  - {}\nobservability:\n  tracing:\n    \
         exporter: [{{ type: stdout, format: json }}, {{ {exporter} }}]\n    sampling: {{ type: always_on }}\n",
        model("small", "", &[("backend-1", &backend)])
    )))
    .await;
    let id = router.client().chat(&chat("Hi")).await.trace_id().to_owned();
    (router.end().await, id)
}

fn assert_chain(trace: &[Value]) {
    let leaf = trace.iter().find(|span| span["name"] == "llm_request").expect("the engine's span");
    let parent = |span: &&Value| trace.iter().find(|other| other["span_id"] == span["parent_id"]);
    let chain = std::iter::successors(Some(leaf), parent);
    let told: Vec<Value> =
        chain.map(|span| json!([span["name"], span["kind"], span["resource"]["service.name"]])).collect();
    let expected = [
        json!(["llm_request", "server", "vllm"]),
        json!(["semantic_router.upstream.request", "client", "vllm-semantic-router"]),
        json!(["semantic_router.request.received", "server", "vllm-semantic-router"]),
        json!(["POST", "client", "client"]),
        json!(["ChatCompletion", "internal", "client"]),
        json!(["question", "internal", "client"]),
    ];
    assert_eq!(told, expected, "from the engine to the client");
}

/// The searches of Jaeger's page find what they should.
async fn assert_queries(jaeger: &Jaeger, failed: &str) {
    let services = jaeger.asked("/api/services").await;
    let services: BTreeSet<&str> =
        services.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(services, BTreeSet::from(["client", "vllm", "vllm-semantic-router"]));
    let of_router = "/api/traces?service=vllm-semantic-router&limit=100";
    assert_eq!(jaeger.asked(of_router).await.as_array().map(Vec::len), Some(5), "one trace per request");
    let ids = |data: Value| -> Vec<String> {
        let traces = data.as_array().cloned().unwrap_or_default();
        traces.iter().filter_map(|trace| trace["traceID"].as_str().map(str::to_owned)).collect()
    };
    // tags={"error":"true","http.response.status_code":"503"}
    let tags = "%7B%22error%22%3A%22true%22%2C%22http.response.status_code%22%3A%22503%22%7D";
    assert_eq!(ids(jaeger.asked(&format!("{of_router}&tags={tags}")).await), [failed]);
    let operation =
        "/api/traces?service=vllm-semantic-router&operation=semantic_router.cache.store&limit=100";
    assert_eq!(ids(jaeger.asked(operation).await).len(), 2, "a stream and an answer were stored");
}
