//! The policy that the benches decide by: two models, every check, and a decision with a system prompt.

use std::sync::Arc;
use std::time::Duration;

use dialects::Dialect;
use dialects::edit::SystemPromptMode;
use pipeline::policy::{
    Action, Address, Block, BlockAnswer, CacheOverride, CachePolicy, CacheScope, Candidate,
    ConversationPolicy, Credentials, Decision, Endpoint, Expression, Failover, FailurePolicy, FamilySwitch,
    Group, Guards, HeaderChanges, Measure, Model, OnFailure, PiiAllowance, Policy, Price, ReasoningChoice,
    ReasoningFamily, Route, Signal, Subject, SystemPrompt, Timeouts,
};

/// Whether answers are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// They are.
    Remembered,
    /// They are not.
    Forgotten,
}

const THRESHOLD: f32 = 0.5;

/// Two models with three endpoints, the two decisions that every configuration has, and one that routes by domain and
/// prepends a system prompt. A prompt about mathematics takes the decision; any other is routed by its category.
pub fn policy(answers: Answers) -> Policy {
    Policy {
        version: Arc::from("0123456789ab"),
        signals: vec![
            signal("jailbreak", Subject::UserAndToolText, Measure::Jailbreak { threshold: THRESHOLD }),
            signal("pii", Subject::Conversation, Measure::Pii { types: Vec::new(), threshold: THRESHOLD }),
            signal("exact-science", Subject::LastUserMessage, domain(&["math", "physics", "chemistry"])),
        ],
        decisions: vec![
            decision(
                "block-jailbreak",
                0,
                Action::Block(Block { answer: BlockAnswer::Error, message: None }),
            ),
            decision("mask-pii", 1, Action::Mask(None)),
            decision("think-first", 2, Action::Route(think_first())),
        ],
        models: vec![
            Arc::new(model("llama-3.1-8b", "general", 2, None)),
            Arc::new(model("qwen3-32b", "reasoning", 1, Some(qwen3()))),
        ],
        default_model: Some(0),
        groups: vec![
            group("general", &["other", "history", "psychology"]),
            group("reasoning", &["math", "physics", "chemistry", "computer science", "engineering"]),
        ],
        category_threshold: THRESHOLD,
        category_subject: Subject::LastUserMessage,
        guards: guards(),
        cache: cache(answers),
        conversations: ConversationPolicy { enabled: true, short_follow_up_words: 8 },
        failover: Failover { statuses: vec![429, 503], max_attempts: 3 },
        answer_limit_bytes: 16 << 20,
        unmask: true,
    }
}

fn signal(name: &str, subject: Subject, measure: Measure) -> Signal {
    Signal { name: Arc::from(name), subject, measure }
}

fn domain(categories: &[&str]) -> Measure {
    Measure::Domain {
        categories: categories.iter().map(|category| Arc::from(*category)).collect(),
        min_confidence: THRESHOLD,
        takes_low_confidence: false,
    }
}

fn decision(name: &str, signal: usize, action: Action) -> Decision {
    Decision { name: Arc::from(name), when: Expression::Signal(signal), action }
}

fn think_first() -> Route {
    Route {
        candidates: vec![Candidate { model: 1, score: 1.0, weight: 1 }],
        reasoning: Some(ReasoningChoice { enabled: true, effort: None }),
        system_prompt: Some(SystemPrompt {
            mode: SystemPromptMode::Prepend,
            text: Arc::from("Show each step, then the result."),
        }),
        cache: CacheOverride::default(),
        headers: HeaderChanges::default(),
    }
}

fn model(name: &str, category: &str, endpoints: u16, family: Option<ReasoningFamily>) -> Model {
    Model {
        name: Arc::from(name),
        upstream_name: Arc::from(name),
        category: Some(Arc::from(category)),
        provider: Arc::from("vllm"),
        version: None,
        endpoints: (0..endpoints).map(|number| Arc::new(endpoint(name, number))).collect(),
        context_length: Some(131_072),
        price: Some(Price { prompt: 0.6, cached: None, completion: 1.8 }),
        reasoning_family: family.map(Arc::new),
        pii: PiiAllowance::Only(vec!["PERSON", "AGE", "DATE_TIME"]),
        any_model: false,
    }
}

fn qwen3() -> ReasoningFamily {
    let path = vec!["chat_template_kwargs".to_owned(), "enable_thinking".to_owned()];
    ReasoningFamily {
        name: Arc::from("qwen3"),
        switch: FamilySwitch::Member { path, on: true.into(), off: false.into() },
    }
}

/// Nothing is sent there: the benches stop at the bytes that would be.
fn endpoint(model: &str, number: u16) -> Endpoint {
    let minute = Duration::from_secs(60);
    let port = 8000 + number;
    Endpoint {
        name: Arc::from(format!("{model}-{number}")),
        address: Address {
            origin: Arc::from(format!("http://127.0.0.1:{port}")),
            tls: false,
            host: Arc::from("127.0.0.1"),
            port,
        },
        path_prefix: Arc::from(""),
        weight: 1,
        max_parallel: None,
        timeouts: Timeouts { connect: minute, first_token: minute, idle: minute, total: minute },
        credentials: Credentials::None,
        headers: Vec::new(),
        dialects: Dialect::ALL.to_vec(),
        internal: false,
        ask_usage: true,
    }
}

fn group(name: &str, categories: &[&str]) -> Group {
    Group {
        name: Arc::from(name),
        categories: categories.iter().map(|category| Arc::from(*category)).collect(),
        takes_low_confidence: name == "general",
    }
}

fn guards() -> Guards {
    Guards {
        pii_threshold: THRESHOLD,
        jailbreak_threshold: THRESHOLD,
        time_limit: Duration::from_secs(60),
        on_failure: OnFailure {
            classification: FailurePolicy::Skip,
            pii_detection: FailurePolicy::Refuse,
            jailbreak_detection: FailurePolicy::Refuse,
            cache_lookup: FailurePolicy::Skip,
        },
    }
}

fn cache(answers: Answers) -> CachePolicy {
    CachePolicy {
        enabled: answers == Answers::Remembered,
        scope: CacheScope::Principal,
        ttl: Duration::from_secs(3600),
        max_entry_bytes: 1 << 20,
        allow_tools: false,
        allow_images: false,
        allow_several_choices: false,
        max_temperature: 1.0,
    }
}
