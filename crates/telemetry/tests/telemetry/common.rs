//! Records written by hand, the same in every run.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use trace::finding::{
    Answer, BackendSelection, CacheLookup, CacheStore, Classification, Cost, Finding, JailbreakDetection,
    Parameters, PiiDetection, Reasoning, ResponseProcessing, RoutingDecision, RoutingReason, RoutingStrategy,
    SecurityAction, SystemPromptInjection, UpstreamRequest, Usage,
};
use trace::propagation::TraceContext;
use trace::sampling::SamplingVerdict;
use trace::{
    Clock, Door, EventKind, Link, Observed, Record, RequestFacts, SpanId, SpanStatus, Stage, Text, TraceId,
};

pub(crate) const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

pub(crate) fn facts(route: &'static str) -> RequestFacts {
    RequestFacts {
        id: Text::from_outside("req-abc-123"),
        door: Door::Http,
        method: "POST".into(),
        path: Text::from_outside(route),
        route,
        scheme: "http",
        user_id: Some(Text::trusted("team-a")),
        session_id: None,
        conversation_id: None,
        original_model: Some(Text::from_outside("auto")),
        stream: true,
        config_version: Arc::from("c0ffee"),
        observed: Observed::Body,
        custom: vec![(Arc::from("customer.id"), Text::from_outside("4711"))],
    }
}

pub(crate) fn parent(state: &str) -> TraceContext {
    TraceContext::extract([PARENT.as_bytes()], [state.as_bytes()]).unwrap()
}

pub(crate) fn empty_record(parent: Option<TraceContext>, sampled: bool) -> Record {
    // 2024-05-01T12:00:00Z
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_564_800);
    let verdict =
        SamplingVerdict { sampled, reason: if parent.is_some() { "parent" } else { "probabilistic" } };
    let clock = Clock::started(wall, Instant::now());
    let mut record = Record::new(clock, parent, verdict, facts("/v1/chat/completions"));
    record.root_id = SpanId::from_hex("00000000000000ff").unwrap();
    record
}

pub(crate) fn model() -> Arc<str> {
    Arc::from("llama-3.1-70b")
}

/// The findings of a request that went through every stage, with the length of each stage in microseconds.
pub(crate) fn findings() -> [(Stage, u64, Finding); 10] {
    let classification = Classification {
        category: Arc::from("math"),
        confidence: 0.95,
        second_category: Arc::from("physics"),
        second_confidence: 0.03,
        classifier: Arc::from("builtin"),
    };
    let pii = PiiDetection { types: vec!["credit_card"], count: 1, action: SecurityAction::Masked };
    let jailbreak =
        JailbreakDetection { detected: false, kind: None, confidence: 0.02, action: SecurityAction::Allowed };
    let lookup =
        CacheLookup { hit: false, similarity: None, backend: "embedded", scope: "principal", age_ms: None };
    let routing = RoutingDecision {
        strategy: RoutingStrategy::Auto,
        decision: Arc::from("reasoning"),
        reason: RoutingReason::Category { name: Arc::from("math"), confidence: 0.95 },
        original_model: Some(Text::from_outside("auto")),
        selected_model: Some(model()),
        candidates: vec![(model(), 1.0), (Arc::from("llama-3.1-8b"), 0.4)],
        rejected: vec![(Arc::from("gpt-4"), "pii_policy")],
        reasoning: Reasoning {
            enabled: true,
            effort: Some(Arc::from("high")),
            family: Some(Arc::from("qwen3")),
        },
    };
    let backend = BackendSelection {
        endpoint: Some(Arc::from("backend-2")),
        address: Some(Arc::from("http://vllm-2:8000")),
        strategy: "weighted",
        candidates: 2,
        excluded: vec![(Arc::from("backend-3"), "ejected")],
    };
    let prompt = SystemPromptInjection { injected: true, mode: "prepend", length_bytes: 120 };
    let processing = ResponseProcessing { unmasked: 1, bytes_in: 5312, bytes_out: 5320 };
    let store = CacheStore { stored: false, reason: "pii_masked".into(), bytes: 0 };
    [
        (Stage::Classification, 45_000, Finding::Classification(classification)),
        (Stage::PiiDetection, 8_250, Finding::PiiDetection(pii)),
        (Stage::JailbreakDetection, 12_000, Finding::JailbreakDetection(jailbreak)),
        (Stage::CacheLookup, 38, Finding::CacheLookup(lookup)),
        (Stage::RoutingDecision, 5_000, Finding::RoutingDecision(Box::new(routing))),
        (Stage::BackendSelection, 2_000, Finding::BackendSelection(backend)),
        (Stage::SystemPromptInjection, 15, Finding::SystemPromptInjection(prompt)),
        (Stage::UpstreamRequest, 760_000, Finding::UpstreamRequest(Box::new(upstream()))),
        (Stage::ResponseProcessing, 210, Finding::ResponseProcessing(processing)),
        (Stage::CacheStore, 20, Finding::CacheStore(store)),
    ]
}

pub(crate) fn upstream() -> UpstreamRequest {
    UpstreamRequest {
        model: model(),
        provider: Arc::from("vllm"),
        version: None,
        endpoint: Arc::from("backend-2"),
        server_address: Arc::from("vllm-2"),
        server_port: 8000,
        path: Arc::from("/v1/chat/completions"),
        operation: "chat",
        attempt: 1,
        http_status: Some(200),
        parameters: Parameters { stream: true, temperature: Some(0.7), ..Parameters::default() },
        answer: Answer {
            id: Some(Text::from_outside("chatcmpl-1")),
            model: Some(Text::from_outside("llama-3.1-70b-instruct")),
            finish_reasons: vec![Text::from_outside("stop")],
            usage: Some(Usage { prompt: 12, completion: 130, cached: Some(4), reasoning: None }),
            first_token_ns: Some(152_303_000),
            last_token_ns: Some(832_000_000),
            output_chunks: 101,
        },
        cost: Some(Cost { prompt: 0.000_012, completion: 0.000_26 }),
        stalled_by_client_ms: 0.0,
    }
}

/// A request under a caller's span that went through every stage, one after the other.
pub(crate) fn forwarded(sampled: bool) -> Record {
    let mut record = empty_record(Some(parent("vendor=value")), sampled);
    let mut start_ns = 0;
    for (number, (stage, length_us, finding)) in findings().into_iter().enumerate() {
        add(&mut record, number, stage, start_ns, length_us, finding);
        start_ns += length_us * 1000;
    }
    let made_by = TraceId::from_hex("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    let link = TraceContext::new(made_by, SpanId::from_hex("bbbbbbbbbbbbbbbb").unwrap(), parent("").flags);
    record.stage_mut(Stage::CacheLookup).unwrap().links.push(Link { context: link });
    record.stage_mut(Stage::UpstreamRequest).unwrap().push_event(152_303_000, EventKind::FirstToken);
    record.http_status = Some(200);
    record.read_ns = 1_000_000;
    record.duration_ns = 834_000_000;
    record
}

/// A request whose two attempts failed, the first at a status and the second on the network.
pub(crate) fn failed() -> Record {
    let mut record = empty_record(None, true);
    record.trace_id = TraceId::from_hex("11111111111111111111111111111111").unwrap();
    let first =
        UpstreamRequest { http_status: Some(503), answer: Answer::default(), cost: None, ..upstream() };
    let second = UpstreamRequest { http_status: None, attempt: 2, ..first.clone() };
    let finding = |call| Finding::UpstreamRequest(Box::new(call));
    add(&mut record, 0, Stage::UpstreamRequest, 0, 5_000, finding(first));
    add(&mut record, 1, Stage::UpstreamRequest, 5_000_000, 12_000, finding(second));
    let place = |record: &mut Record, place, kind: &'static str, description: &str| {
        let span = record.span_at_mut(place).unwrap();
        let description = Text::from_outside(description);
        span.push_event(17_000_000, EventKind::Exception { kind: kind.into(), message: description.clone() });
        span.status = SpanStatus::Error { kind: kind.into(), description };
    };
    place(&mut record, 0, "503", "the backend answered 503");
    place(&mut record, 1, "connect", "connection refused");
    let first = record.span_at_mut(0).unwrap();
    first.push_event(5_000_000, EventKind::UpstreamRetry { reason: "503".into() });
    record.fail("upstream_unavailable", Text::trusted("no endpoint of llama-3.1-70b answered"));
    record.events[0].at_ns = 17_000_000;
    record.http_status = Some(502);
    record.duration_ns = 18_000_000;
    record
}

fn add(record: &mut Record, number: usize, stage: Stage, start_ns: u64, length_us: u64, finding: Finding) {
    let index = record.begin(stage);
    let span = record.span_mut(index).unwrap();
    span.id = SpanId::from_hex(&format!("{:016x}", number + 1)).unwrap();
    span.start_ns = start_ns;
    span.end_ns = Some(start_ns + length_us * 1000);
    span.finding = finding;
}

/// A writer that keeps what it is given.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
