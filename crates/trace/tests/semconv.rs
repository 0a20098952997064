//! The attributes of each span, by name: what dashboards and queries rely on.

#![expect(clippy::panic, reason = "a test that cannot go on should stop")]

use std::sync::Arc;

use trace::finding::{
    Answer, BackendSelection, CacheLookup, Classification, Cost, Finding, JailbreakDetection, Parameters,
    PiiDetection, Reasoning, RoutingDecision, RoutingReason, RoutingStrategy, SecurityAction,
    SystemPromptInjection, UpstreamRequest, Usage,
};
use trace::sampling::SamplingVerdict;
use trace::semconv::{Attribute, Value, Vocabularies, event_attributes, root_attributes, span_attributes};
use trace::{Clock, Door, EventKind, Observed, Record, RequestFacts, Stage, Text};

const ROUTER: Vocabularies = Vocabularies { openinference: false, genai: false };

fn record_with(stage: Stage, finding: Finding) -> Record {
    let facts = RequestFacts {
        id: Text::trusted("req-1"),
        door: Door::Http,
        method: "POST".into(),
        path: Text::trusted("/v1/chat/completions"),
        route: "/v1/chat/completions",
        scheme: "http",
        user_id: Some(Text::trusted("u")),
        session_id: Some(Text::trusted("s")),
        conversation_id: Some(Text::trusted("c")),
        original_model: Some(Text::trusted("auto")),
        stream: true,
        config_version: Arc::from("1"),
        observed: Observed::Body,
        custom: vec![(Arc::from("customer.id"), Text::from_outside("a \"b\"\n"))],
    };
    let verdict = SamplingVerdict { sampled: true, reason: "always_on" };
    let mut record = Record::new(Clock::start(), None, verdict, facts);
    let index = record.begin(stage);
    record.end(index, finding);
    record.http_status = Some(200);
    record
}

fn names(attributes: &[Attribute<'_>]) -> Vec<String> {
    let names: Vec<String> = attributes.iter().map(|(name, _)| name.to_string()).collect();
    let mut distinct = names.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "an attribute occurs twice in {names:?}");
    names
}

fn value<'a>(attributes: &'a [Attribute<'a>], name: &str) -> &'a Value<'a> {
    let found = attributes.iter().find(|(key, _)| key == name);
    found.map_or_else(|| panic!("no {name} in {:?}", names(attributes)), |(_, value)| value)
}

fn string(text: &str) -> Value<'_> {
    Value::String(text.into())
}

fn call() -> UpstreamRequest {
    UpstreamRequest {
        model: Arc::from("m"),
        provider: Arc::from("vllm"),
        version: Some(Arc::from("2")),
        endpoint: Arc::from("e"),
        server_address: Arc::from("h"),
        server_port: 8000,
        path: Arc::from("/v1/chat/completions"),
        operation: "chat",
        attempt: 1,
        http_status: Some(200),
        parameters: Parameters {
            stream: true,
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_tokens: Some(64),
            choice_count: Some(1),
            seed: Some(-1),
            frequency_penalty: Some(0.0),
            presence_penalty: Some(0.0),
        },
        answer: Answer {
            id: Some(Text::trusted("chatcmpl-1")),
            model: Some(Text::trusted("m-2024")),
            finish_reasons: vec![Text::trusted("stop")],
            usage: Some(Usage { prompt: 12, completion: 30, cached: Some(4), reasoning: Some(7) }),
            first_token_ns: Some(2_000_000_000),
            last_token_ns: Some(3_000_000_000),
            output_chunks: 30,
        },
        cost: Some(Cost { prompt: 0.25, completion: 0.5 }),
        stalled_by_client_ms: 0.0,
    }
}

#[test]
fn the_root_names_the_request_under_old_and_new_names() {
    let mut record = record_with(Stage::CacheStore, Finding::Pending);
    let attributes = root_attributes(&record, ROUTER);
    let expected = [
        "request.id",
        "user.id",
        "session.id",
        "http.method",
        "http.path",
        "http.request.method",
        "url.path",
        "url.scheme",
        "http.route",
        "routing.original_model",
        "http.response.status_code",
        "processing.time_ms",
        "processing.router_time_ms",
        "request.read_ms",
        "response.client_wait_ms",
        "semantic_router.door",
        "semantic_router.observed",
        "semantic_router.config.version",
        "sampling.reason",
        "customer.id",
    ];
    assert_eq!(names(&attributes), expected);
    let attributes = root_attributes(&record, Vocabularies::default());
    assert_eq!(value(&attributes, "openinference.span.kind"), &string("CHAIN"));
    assert_eq!(value(&attributes, "metadata"), &string("{\"customer.id\":\"a \\\"b\\\" \"}"));
    record.refusal = Some("jailbreak_detected");
    assert_eq!(value(&root_attributes(&record, ROUTER), "error.type"), &string("jailbreak_detected"));
    record.fail("upstream_error", Text::trusted("x"));
    assert_eq!(value(&root_attributes(&record, ROUTER), "error.type"), &string("upstream_error"));
}

#[test]
fn signals_say_what_they_found_and_how_long_it_took() {
    let classification = Finding::Classification(Classification {
        category: Arc::from("math"),
        confidence: 0.95,
        second_category: Arc::from("physics"),
        second_confidence: 0.03,
        classifier: Arc::from("builtin"),
    });
    let record = record_with(Stage::Classification, classification);
    let attributes = span_attributes(&record, &record.spans()[0], ROUTER);
    let expected = [
        "category.name",
        "category.confidence",
        "category.second.name",
        "category.second.confidence",
        "classifier.type",
        "classification.time_ms",
    ];
    assert_eq!(names(&attributes), expected);
    assert_eq!(value(&attributes, "category.confidence"), &Value::Double(0.95));

    let pii = PiiDetection { types: vec!["email"], count: 2, action: SecurityAction::Masked };
    let record = record_with(Stage::PiiDetection, Finding::PiiDetection(pii));
    let attributes = span_attributes(&record, &record.spans()[0], Vocabularies::default());
    let expected = [
        "pii.detected",
        "pii.types",
        "pii.count",
        "pii.detection_time_ms",
        "security.action",
        "openinference.span.kind",
    ];
    assert_eq!(names(&attributes), expected);
    assert_eq!(value(&attributes, "security.action"), &string("masked"));
    assert_eq!(value(&attributes, "openinference.span.kind"), &string("GUARDRAIL"));

    let jailbreak = JailbreakDetection {
        detected: true,
        kind: Some("injection"),
        confidence: 0.5,
        action: SecurityAction::Blocked,
    };
    let record = record_with(Stage::JailbreakDetection, Finding::JailbreakDetection(jailbreak));
    let expected = [
        "jailbreak.detected",
        "jailbreak.type",
        "jailbreak.confidence",
        "jailbreak.detection_time_ms",
        "security.action",
    ];
    assert_eq!(names(&span_attributes(&record, &record.spans()[0], ROUTER)), expected);
}

#[test]
fn a_cache_hit_and_the_choice_of_a_backend() {
    let hit = CacheLookup {
        hit: true,
        similarity: Some(1.0),
        backend: "embedded",
        scope: "principal",
        age_ms: Some(5.0),
    };
    let record = record_with(Stage::CacheLookup, Finding::CacheLookup(hit));
    let attributes = span_attributes(&record, &record.spans()[0], Vocabularies::default());
    let expected = [
        "cache.hit",
        "cache.similarity",
        "cache.backend",
        "cache.scope",
        "cache.age_ms",
        "cache.lookup_time_ms",
        "openinference.span.kind",
    ];
    assert_eq!(names(&attributes), expected);
    assert_eq!(value(&attributes, "openinference.span.kind"), &string("RETRIEVER"));

    let selection = BackendSelection {
        endpoint: Some(Arc::from("e")),
        address: Some(Arc::from("http://h:1")),
        strategy: "weighted",
        candidates: 2,
        excluded: vec![(Arc::from("f"), "ejected")],
    };
    let record = record_with(Stage::BackendSelection, Finding::BackendSelection(selection));
    let attributes = span_attributes(&record, &record.spans()[0], ROUTER);
    let expected = [
        "endpoint.name",
        "endpoint.address",
        "endpoint.strategy",
        "endpoint.candidates",
        "endpoint.excluded",
    ];
    assert_eq!(names(&attributes), expected);
    assert_eq!(value(&attributes, "endpoint.excluded"), &Value::Strings(vec!["f=ejected".into()]));

    let prompt = SystemPromptInjection { injected: true, mode: "replace", length_bytes: 9 };
    let record = record_with(Stage::SystemPromptInjection, Finding::SystemPromptInjection(prompt));
    let expected = ["system_prompt.injected", "system_prompt.mode", "system_prompt.length_bytes"];
    assert_eq!(names(&span_attributes(&record, &record.spans()[0], ROUTER)), expected);
}

#[test]
fn the_routing_decision_gives_its_reason_as_a_sentence_and_as_a_code() {
    let decision = RoutingDecision {
        strategy: RoutingStrategy::Auto,
        decision: Arc::from("default"),
        reason: RoutingReason::Category { name: Arc::from("math"), confidence: 0.9 },
        original_model: Some(Text::trusted("auto")),
        selected_model: Some(Arc::from("big")),
        candidates: vec![(Arc::from("big"), 1.0)],
        rejected: vec![(Arc::from("small"), "context_length")],
        reasoning: Reasoning {
            enabled: true,
            effort: Some(Arc::from("high")),
            family: Some(Arc::from("qwen3")),
        },
    };
    let record = record_with(Stage::RoutingDecision, Finding::RoutingDecision(Box::new(decision)));
    let attributes = span_attributes(&record, &record.spans()[0], ROUTER);
    let expected = [
        "routing.strategy",
        "routing.decision",
        "routing.reason",
        "routing.reason.code",
        "routing.original_model",
        "routing.selected_model",
        "routing.candidates",
        "routing.rejected",
        "reasoning.enabled",
        "reasoning.effort",
        "reasoning.family",
    ];
    assert_eq!(names(&attributes), expected);
    assert_eq!(value(&attributes, "routing.reason.code"), &string("category_matched"));
    let sentence = "the prompt is about math (0.90), which big serves";
    assert_eq!(value(&attributes, "routing.reason"), &string(sentence));
    assert_eq!(value(&attributes, "routing.candidates"), &Value::Strings(vec!["big=1.00".into()]));
}

#[test]
fn the_upstream_span_speaks_three_vocabularies() {
    let record = record_with(Stage::UpstreamRequest, Finding::UpstreamRequest(Box::new(call())));
    let span = &record.spans()[0];
    let router = names(&span_attributes(&record, span, ROUTER));
    let expected = [
        "model.name",
        "model.provider",
        "model.version",
        "endpoint.name",
        "server.address",
        "server.port",
        "http.request.method",
        "http.response.status_code",
        "url.path",
        "attempt",
        "stalled_by_client_ms",
    ];
    assert_eq!(router, expected);

    let openinference = Vocabularies { openinference: true, genai: false };
    let attributes = span_attributes(&record, span, openinference);
    let expected = [
        "openinference.span.kind",
        "llm.model_name",
        "llm.provider",
        "llm.system",
        "llm.invocation_parameters",
        "llm.finish_reason",
        "llm.token_count.prompt",
        "llm.token_count.completion",
        "llm.token_count.total",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.completion_details.reasoning",
        "llm.cost.prompt",
        "llm.cost.completion",
        "llm.cost.total",
    ];
    assert_eq!(names(&attributes)[router.len()..], expected);
    assert_eq!(value(&attributes, "llm.token_count.total"), &Value::Int(42));
    assert_eq!(value(&attributes, "llm.cost.total"), &Value::Double(0.75));
    let parameters = "{\"model\":\"m\",\"stream\":true,\"temperature\":0.5,\"top_p\":0.9,\"max_tokens\":64,\
                      \"n\":1,\"seed\":-1,\"frequency_penalty\":0,\"presence_penalty\":0}";
    assert_eq!(value(&attributes, "llm.invocation_parameters"), &string(parameters));

    let genai = Vocabularies { openinference: false, genai: true };
    let attributes = span_attributes(&record, span, genai);
    let expected = [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.conversation.id",
        "gen_ai.request.model",
        "gen_ai.request.stream",
        "gen_ai.request.temperature",
        "gen_ai.request.top_p",
        "gen_ai.request.max_tokens",
        "gen_ai.request.seed",
        "gen_ai.request.frequency_penalty",
        "gen_ai.request.presence_penalty",
        "gen_ai.response.id",
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    ];
    assert_eq!(names(&attributes)[router.len()..], expected);
    assert_eq!(value(&attributes, "gen_ai.provider.name"), &string("openai"));
}

#[test]
fn exceptions_use_the_conventions_names() {
    let exception = EventKind::Exception { kind: "timeout".into(), message: Text::trusted("too slow") };
    assert_eq!(names(&event_attributes(&exception)), ["exception.type", "exception.message"]);
    assert_eq!(names(&event_attributes(&EventKind::FirstToken)), Vec::<String>::new());
}
