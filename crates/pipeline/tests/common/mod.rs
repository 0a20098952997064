//! What the tests share: a policy of two models, ports that answer by rule, and a sink that keeps records.
//!
//! The ports are fakes: the real classifiers, cache and client are tested in their own crates and end to end.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "test support, of which each test file uses a part"
)]

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use pipeline::Pipeline;
use pipeline::policy::*;
use pipeline::ports::*;
use pipeline::request::{Principal, Request};
use trace::sampling::SamplingVerdict;
use trace::{ActiveRecord, Clock, Door, Record, RecordSink, RequestFacts, Text};

pub struct Ports {
    pub cache: Arc<Memory>,
    pub backends: Arc<Fleet>,
    pub conversations: Arc<Mutex<Vec<(ConversationKey, Arc<str>)>>>,
}

/// "derivative" is math, "haiku" is other; anything else is unsure.
struct Domains;

impl DomainClassifier for Domains {
    fn name(&self) -> Arc<str> {
        Arc::from("by-rule")
    }

    fn classify(&self, text: &str) -> Result<CategoryScores, PortFailure> {
        if text.contains("CLASSIFIER FAILS") {
            return Err(PortFailure {
                kind: "classifier_broken",
                description: Text::trusted("as the test asked"),
            });
        }
        let ranked: &[(&str, f32)] = match text {
            text if text.contains("derivative") => &[("math", 0.9), ("physics", 0.05), ("other", 0.05)],
            text if text.contains("haiku") => &[("other", 0.8), ("math", 0.1), ("physics", 0.1)],
            _ => &[("math", 0.4), ("other", 0.35), ("physics", 0.05)],
        };
        Ok(CategoryScores { ranked: ranked.iter().map(|(name, p)| (Arc::from(*name), *p)).collect() })
    }
}

struct Jailbreaks;

impl JailbreakDetector for Jailbreaks {
    fn detect(&self, text: &str, _: &mut Deadline) -> Result<JailbreakScore, PortFailure> {
        if text.contains("DETECTOR FAILS") {
            return Err(PortFailure {
                kind: "detector_broken",
                description: Text::trusted("as the test asked"),
            });
        }
        let (confidence, patterns) = match text {
            text if text.contains("Ignore all previous") => (0.98, vec!["ignore_previous"]),
            text if text.contains("LOOKS ODD") => (0.9, Vec::new()),
            _ => (0.02, Vec::new()),
        };
        Ok(JailbreakScore { confidence, kind: "instruction_override", patterns })
    }
}

struct Pii;

impl PiiRecognizer for Pii {
    fn find(&self, text: &str, deadline: &mut Deadline) -> Result<Vec<PiiEntity>, PortFailure> {
        // In pieces, as the built-in recognisers do it.
        for piece in text.as_bytes().chunks(1024) {
            deadline.check(piece.len())?;
        }
        let each = |needle: &'static str, kind| {
            text.match_indices(needle).map(move |(start, found)| PiiEntity {
                kind,
                start,
                end: start + found.len(),
                confidence: 1.0,
            })
        };
        let mut found: Vec<PiiEntity> =
            each("4111111111111111", "CREDIT_CARD").chain(each("a@b.de", "EMAIL_ADDRESS")).collect();
        found.sort_by_key(|entity| entity.start);
        Ok(found)
    }
}

#[derive(Default)]
pub struct Memory(pub Mutex<Vec<(CacheKey, StoredAnswer)>>);

impl AnswerCache for Memory {
    fn backend(&self) -> &'static str {
        "embedded"
    }

    fn lookup<'a>(&'a self, key: &'a CacheKey) -> PortFuture<'a, Option<CacheHit>> {
        let entries = self.0.lock().unwrap();
        let found = entries.iter().find(|(known, _)| known.exact == key.exact);
        let hit = found.map(|(_, answer)| CacheHit {
            answer: answer.clone(),
            age: Duration::from_secs(1),
            similarity: 1.0,
        });
        Box::pin(async move { Ok(hit) })
    }

    fn store<'a>(&'a self, key: CacheKey, answer: StoredAnswer, _: Duration) -> PortFuture<'a, ()> {
        self.0.lock().unwrap().push((key, answer));
        Box::pin(async { Ok(()) })
    }
}

/// Hands out a model's endpoints in order.
#[derive(Default)]
pub struct Fleet {
    pub in_use: Arc<AtomicUsize>,
    pub reports: Mutex<Vec<(Arc<str>, AttemptReport)>>,
}

impl Backends for Fleet {
    fn select(&self, model: &Model, _: Dialect, tried: &[Arc<str>]) -> Result<Selected, NoneAvailable> {
        let excluded: Vec<_> = tried.iter().map(|name| (Arc::clone(name), "tried")).collect();
        let free = model.endpoints.iter().find(|endpoint| !tried.contains(&endpoint.name));
        let Some(endpoint) = free else { return Err(NoneAvailable { strategy: "weighted", excluded }) };
        let permit = Permit::take(&self.in_use, 1000).unwrap();
        Ok(Selected { endpoint: Arc::clone(endpoint), permit, strategy: "weighted", candidates: 1, excluded })
    }

    fn report(&self, endpoint: &Endpoint, report: AttemptReport) {
        self.reports.lock().unwrap().push((Arc::clone(&endpoint.name), report));
    }

    fn may_retry(&self) -> bool {
        true
    }
}

struct Remembered(Arc<Mutex<Vec<(ConversationKey, Arc<str>)>>>);

impl Conversations for Remembered {
    fn model_of(&self, key: ConversationKey) -> Option<Arc<str>> {
        let known = self.0.lock().unwrap();
        known.iter().rev().find(|(other, _)| *other == key).map(|(_, model)| Arc::clone(model))
    }

    fn remember(&self, key: ConversationKey, model: &Arc<str>) {
        self.0.lock().unwrap().push((key, Arc::clone(model)));
    }
}

pub fn endpoint(name: &str) -> Arc<Endpoint> {
    let second = Duration::from_secs(1);
    Arc::new(Endpoint {
        name: Arc::from(name),
        address: Address {
            origin: Arc::from("http://127.0.0.1:9"),
            tls: false,
            host: Arc::from("127.0.0.1"),
            port: 9,
        },
        path_prefix: Arc::from(""),
        weight: 1,
        max_parallel: None,
        timeouts: Timeouts { connect: second, first_token: second, idle: second, total: second },
        credentials: Credentials::None,
        headers: Vec::new(),
        dialects: Dialect::ALL.to_vec(),
        internal: false,
        ask_usage: true,
    })
}

pub fn model(name: &str, category: &str, endpoints: &[&str]) -> Model {
    Model {
        name: Arc::from(name),
        upstream_name: Arc::from(name),
        category: Some(Arc::from(category)),
        provider: Arc::from("vllm"),
        version: None,
        endpoints: endpoints.iter().map(|name| endpoint(name)).collect(),
        context_length: None,
        price: Some(Price { prompt: 1.0, cached: None, completion: 2.0 }),
        reasoning_family: Some(Arc::new(ReasoningFamily {
            name: Arc::from("qwen3"),
            switch: FamilySwitch::Member {
                path: vec!["chat_template_kwargs".into(), "enable_thinking".into()],
                on: true.into(),
                off: false.into(),
            },
        })),
        pii: PiiAllowance::Everything,
        any_model: false,
    }
}

/// Two models as in the quick start, and the two decisions that every configuration has.
pub fn policy() -> Policy {
    let group = |name: &str, categories: &[&str]| Group {
        name: Arc::from(name),
        categories: categories.iter().map(|category| Arc::from(*category)).collect(),
        takes_low_confidence: name == "general",
    };
    let signal =
        |name: &str, measure| Signal { name: Arc::from(name), subject: Subject::Conversation, measure };
    let decision = |name: &str, signal, action| Decision {
        name: Arc::from(name),
        when: Expression::Signal(signal),
        action,
    };
    Policy {
        version: Arc::from("test"),
        signals: vec![
            signal("jailbreak", Measure::Jailbreak { threshold: 0.7 }),
            signal("pii", Measure::Pii { types: Vec::new(), threshold: 0.5 }),
        ],
        decisions: vec![
            decision(
                "block-jailbreak",
                0,
                Action::Block(Block { answer: BlockAnswer::Error, message: None }),
            ),
            decision("mask-pii", 1, Action::Mask(None)),
        ],
        models: vec![
            Arc::new(model("small", "general", &["small-1", "small-2"])),
            Arc::new(model("large", "reasoning", &["large-1"])),
        ],
        default_model: Some(0),
        groups: vec![group("general", &["other"]), group("reasoning", &["math", "physics"])],
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
        conversations: ConversationPolicy { enabled: true, short_follow_up_words: 6 },
        failover: Failover { statuses: vec![429, 503], max_attempts: 3 },
        answer_limit_bytes: 1 << 20,
        unmask: true,
    }
}

pub fn pipeline(policy: Policy) -> (Arc<Pipeline>, Ports) {
    let ports = Ports { cache: Arc::default(), backends: Arc::default(), conversations: Arc::default() };
    let all = pipeline::ports::Ports {
        domain: Arc::new(Domains),
        jailbreak: Arc::new(Jailbreaks),
        pii: Arc::new(Pii),
        cache: Arc::clone(&ports.cache) as Arc<dyn AnswerCache>,
        conversations: Arc::new(Remembered(Arc::clone(&ports.conversations))),
        backends: Arc::clone(&ports.backends) as Arc<dyn Backends>,
    };
    (Arc::new(Pipeline::new(policy, all)), ports)
}

pub fn request(body: &str) -> Request {
    let parsed =
        ParsedRequest::parse(Dialect::ChatCompletions, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    Request { parsed, principal: Principal::anonymous(), session: None, headers: Vec::new() }
}

pub fn ask(prompt: &str) -> Request {
    request(&format!(r#"{{"model":"auto","messages":[{{"role":"user","content":{prompt:?}}}]}}"#))
}

#[derive(Default)]
pub struct Kept(pub Mutex<Vec<Record>>);

impl RecordSink for Kept {
    fn finished(&self, record: Box<Record>) {
        self.0.lock().unwrap().push(*record);
    }
}

pub fn record() -> Record {
    let path = "/v1/chat/completions";
    let facts = RequestFacts {
        original_model: Some(Text::trusted("auto")),
        ..RequestFacts::new(Text::trusted("req-1"), Door::Http, "POST", Text::trusted(path), path)
    };
    Record::new(Clock::start(), None, SamplingVerdict { sampled: true, reason: "always_on" }, facts)
}

pub fn active(kept: &Arc<Kept>) -> ActiveRecord {
    ActiveRecord::new(record(), Arc::clone(kept) as Arc<dyn RecordSink>)
}

/// Names of the spans without their common prefix.
pub fn names(record: &Record) -> Vec<&'static str> {
    record.spans().iter().map(|span| span.stage.span_name().trim_start_matches("semantic_router.")).collect()
}
