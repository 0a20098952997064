//! What the criterion benches share: prompts, a policy with every check on, and the built-in intelligence behind the
//! pipeline's ports.
//!
//! It is not the composition of the server, which maps a configuration; the policy here is what the shortest
//! configuration of two models becomes. Invariant: nothing here is random, so that two runs measure the same work.

mod policy;

use std::sync::Arc;

use bytes::Bytes;
use cache::{AnswerCacheConfig, ConversationConfig, EmbeddedCache, EmbeddedConversations};
use dialects::Dialect;
use dialects::request::{ParsedRequest, RequestError};
use pipeline::Pipeline;
use pipeline::policy::Policy;
use pipeline::ports::Ports;
use pipeline::request::{Principal, Request};
use trace::sampling::SamplingVerdict;
use trace::{Clock, Door, Observed, Record, RecordSink, RequestFacts, Text};
use upstream::{BalanceConfig, Pool};

pub use policy::{Answers, policy};

/// Lengths of the prompts that are measured, in bytes (which are characters here): a question, a paragraph, a page, and
/// a document.
pub const PROMPT_BYTES: [usize; 4] = [60, 200, 2_000, 20_000];

/// A prompt of exactly `length` ASCII characters: questions as people ask them, about several subjects, with numbers
/// and names, and without personal data or attacks.
pub fn prompt(length: usize) -> String {
    const SENTENCES: [&str; 8] = [
        "What is the derivative of x^3 + 2x, and why does the rule hold? ",
        "Explain how the treaty of 1648 changed the law between states in Europe. ",
        "My function returns 404 instead of 200 when the list is empty; where should I look first? ",
        "Compare the costs of two suppliers who deliver 1,250 units at $3.40 and 980 units at $3.95 each. ",
        "Which enzymes break down starch, and at what temperature do they stop working? ",
        "Summarise the argument of the second chapter in three sentences, please. ",
        "A car of 1200 kg brakes from 30 m/s to rest within 6 s: how large is the force? ",
        "How would Kant answer the objection that lying can sometimes save a life? ",
    ];
    SENTENCES.iter().copied().cycle().flat_map(str::chars).take(length).collect()
}

/// A chat completion request with this prompt and nothing else of note.
///
/// # Errors
///
/// Never for text; the parser's error is passed on.
pub fn request(prompt: &str) -> Result<Request, RequestError> {
    let body = serde_json::json!({
        "model": "auto",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 256,
    });
    let parsed = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body.to_string()))?;
    Ok(Request { parsed, principal: Principal::anonymous(), session: None, headers: Vec::new() })
}

/// The built-in classifiers and recognisers, the embedded cache, and a pool of endpoints: the ports of the server.
pub fn ports() -> Ports {
    Ports {
        domain: Arc::new(inference::ports::Domains::load()),
        jailbreak: Arc::new(inference::ports::Jailbreaks::load()),
        pii: Arc::new(inference::ports::Pii::load()),
        cache: Arc::new(EmbeddedCache::new(AnswerCacheConfig::default())),
        conversations: Arc::new(EmbeddedConversations::new(ConversationConfig::default())),
        backends: Arc::new(Pool::new(BalanceConfig::default())),
    }
}

/// A pipeline over [`ports`].
pub fn pipeline(policy: Policy) -> Arc<Pipeline> {
    Arc::new(Pipeline::new(policy, ports()))
}

/// The record of a request that has just come in.
pub fn record() -> Record {
    let facts = RequestFacts {
        id: Text::trusted("req-0123456789abcdef0123456789abcdef"),
        door: Door::Http,
        method: "POST".into(),
        path: Text::trusted("/v1/chat/completions"),
        route: "/v1/chat/completions",
        scheme: "http",
        user_id: None,
        session_id: None,
        conversation_id: None,
        original_model: Some(Text::trusted("auto")),
        stream: false,
        config_version: Arc::from("0123456789ab"),
        observed: Observed::Body,
        custom: Vec::new(),
    };
    Record::new(Clock::start(), None, SamplingVerdict { sampled: true, reason: "always_on" }, facts)
}

/// Frees finished records: what the exits do with them is measured in the bench of `telemetry`.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl RecordSink for Nowhere {
    fn finished(&self, record: Box<Record>) {
        drop(record);
    }
}
