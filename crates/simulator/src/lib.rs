//! An OpenAI-compatible backend with scripted latency, streams and faults, in the manner of a vLLM server.
//!
//! What it is: a stand-in for an inference server in the demo, in tests and in benches. It speaks HTTP/1.1 and
//! HTTP/2 by prior knowledge on one port, answers chat completions, legacy completions, embeddings, the list of
//! models and a health probe, and misbehaves on request (see [`Fault`]).
//!
//! What it is not: a language model, or a proxy. It needs no other crate of this workspace, so that a mistake in
//! their reading of the API cannot hide behind the same mistake here.
//!
//! Invariant: what it answers is a pure function of the [`Script`] and of the order in which requests arrive.
//! Timers decide only when bytes leave, never which bytes.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use simulator::{Script, Simulator};
//!
//! let backend = Simulator::start(Script::default(), ([127, 0, 0, 1], 0).into()).await?;
//! println!("http://{}/v1/chat/completions", backend.address());
//! backend.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Answers
//!
//! - Text: see [`Answer`]. `max_tokens`, `max_completion_tokens` and `stop` end it; `n` repeats it.
//! - Reasoning: see [`Reasoning`]. It counts among the completion tokens, and within their limit.
//! - Tool calls: when `tools` is there, `tool_choice` is not `none`, the last message is the user's, and
//!   `tool_choice` is `required` (then the first tool) or names a function, or the message contains a telling word of
//!   four letters or more of a function's name (`get_weather`: "weather"). The arguments fit the function's schema.
//! - `response_format` of `json_object` or `json_schema`: a JSON text, fitting the schema where there is one.
//! - Embeddings: texts that share words are near each other; `float` and `base64`.
//! - Tokens are counted by a rule of thumb: a word of up to eight characters is one.
//!
//! # Traces
//!
//! With [`Traces`], each request that the engine has finished leaves a span `llm_request` as vLLM writes it: a child of
//! the caller's span, with `gen_ai.latency.*` and `gen_ai.usage.*`, over OTLP/gRPC. Off by default, and in fast mode.
//!
//! # Faults
//!
#![doc = include_str!("faults.md")]

mod api;
mod body;
pub mod command;
mod compose;
mod embedding;
mod example;
mod fast;
mod fault;
mod format;
mod handler;
mod journal;
mod plan;
mod request;
mod rule;
mod script;
mod server;
mod text;
mod tools;
mod traces;
mod wire;

pub use fault::{FAULT_HELP, Fault};
pub use journal::{Outcome, SeenRequest};
pub use rule::{FaultRule, ScriptError, When};
pub use script::{Answer, Reasoning, Script};
pub use server::Simulator;
pub use traces::{OtlpEndpoint, Traces};
