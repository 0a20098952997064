//! The engine's span, read back by an OTLP/gRPC receiver of the test's own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};
use serde_json::json;
use simulator::{Script, Traces};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::support::{ask, chat, faulty_script, get, post, raw_request, start};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";

#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<ResourceSpans>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = TraceServiceServer::new(receiver.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        (receiver, address)
    }

    /// Every span, with the service that it names.
    fn spans(&self) -> Vec<(String, Span)> {
        let received = self.0.lock().unwrap();
        let of_resource = |group: &ResourceSpans| {
            let service = text(&group.resource.as_ref().unwrap().attributes, "service.name");
            let spans = group.scope_spans.iter().flat_map(|scope| scope.spans.clone());
            spans.map(move |span| (service.clone(), span)).collect::<Vec<_>>()
        };
        received.iter().flat_map(of_resource).collect()
    }
}

fn value(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str) -> Value {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    found.and_then(|found| found.value.clone()?.value).unwrap_or_else(|| panic!("no {key} in {attributes:?}"))
}

fn text(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str) -> String {
    match value(attributes, key) {
        Value::StringValue(text) => text,
        other => panic!("{key} is {other:?}"),
    }
}

fn traced(address: SocketAddr, script: Script) -> Script {
    let endpoint = format!("grpc://{address}").parse().unwrap();
    Script { traces: Some(Traces { endpoint, service: Traces::SERVICE.into() }), ..script }
}

fn called(
    mut request: http::Request<http_body_util::Full<bytes::Bytes>>,
    flags: &str,
) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    request.headers_mut().insert("traceparent", format!("{CALLER}{flags}").parse().unwrap());
    request
}

#[tokio::test]
async fn a_finished_request_leaves_the_span_of_a_vllm_server() {
    let (receiver, address) = Receiver::start().await;
    let script = Script { first_token_ms: 20, tokens_per_second: 1000.0, ..Script::default() };
    let simulator = start(traced(address, script)).await;
    let fields = json!({"stream": true, "temperature": 0.5, "max_tokens": 7, "stream_options": {"include_usage": true}});
    let answer = ask(&simulator, called(chat("hi there", fields), "01")).await;
    assert_eq!(simulator.shutdown().await, 0, "every span is delivered");
    let [(service, span)] = receiver.spans().try_into().unwrap();
    assert_eq!((service.as_str(), span.name.as_str()), ("vllm", "llm_request"));
    assert_eq!(span.kind, i32::from(SpanKind::Server));
    assert_eq!(span.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
    assert_eq!(span.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    let number = |key| match value(&span.attributes, key) {
        Value::DoubleValue(number) => number,
        other => panic!("{key} is {other:?}"),
    };
    assert_eq!(number("gen_ai.latency.time_to_first_token"), 0.02);
    assert_eq!(number("gen_ai.latency.time_in_model_decode"), 0.006);
    assert_eq!(number("gen_ai.request.temperature"), 0.5);
    assert!(number("gen_ai.latency.e2e") >= 0.026, "{span:?}");
    assert_eq!(value(&span.attributes, "gen_ai.usage.completion_tokens"), Value::IntValue(7));
    assert_eq!(value(&span.attributes, "gen_ai.request.max_tokens"), Value::IntValue(7));
    let first = &answer.events()[0];
    assert_eq!(text(&span.attributes, "gen_ai.request.id"), first["id"].as_str().unwrap());
}

#[tokio::test]
async fn callers_that_do_not_sample_and_requests_that_do_not_finish_leave_none() {
    let (receiver, address) = Receiver::start().await;
    let rules = [
        "status=503@prompt=busy",
        "cut-after=2@prompt=cut",
        "error-after=2@prompt=fail",
        "stall-after=1@prompt=stall",
    ];
    let simulator = start(traced(address, faulty_script(&rules))).await;
    ask(&simulator, called(chat("hi", json!({})), "00")).await;
    ask(&simulator, get("/v1/models")).await;
    ask(&simulator, chat("busy", json!({}))).await;
    ask(&simulator, post("/v1/chat/completions", "{")).await;
    ask(&simulator, chat("fail", json!({"stream": true}))).await;
    drop(raw_request(&simulator, "cut", "true").await);
    drop(raw_request(&simulator, "stall", "true").await);
    // Without a caller it is a trace of its own.
    ask(&simulator, post("/v1/embeddings", r#"{"input": "tea"}"#)).await;
    assert_eq!(simulator.shutdown().await, 0);
    let [(_, span)] = receiver.spans().try_into().unwrap();
    assert!(span.parent_span_id.is_empty() && span.trace_id.iter().any(|byte| *byte != 0));
    assert_eq!(value(&span.attributes, "gen_ai.usage.completion_tokens"), Value::IntValue(0));
    assert!(span.attributes.iter().all(|attribute| !attribute.key.starts_with("gen_ai.request.t")));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_delays_no_answer_and_its_spans_are_counted() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let simulator = start(traced(closed, Script::default())).await;
    for _ in 0..3 {
        assert_eq!(ask(&simulator, chat("hi", json!({}))).await.status, 200);
    }
    assert_eq!(simulator.shutdown().await, 3);
}
