//! The whole process, as its users meet it.
//!
//! Each module is one kind of meeting. They run the program that `cargo build` made, in front of simulated backends, and assert
//! what came back, the span tree above all.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "what goes wrong in a test fails it")]

mod admin;
mod apis;
mod bad_input;
mod clients;
mod collector;
mod commands;
mod content;
mod demo;
mod engine;
mod example;
mod extproc;
mod failures;
mod faults;
mod metrics;
mod outputs;
mod policies;
mod prometheus;
mod propagation;
mod samples;
mod settings;
mod tls;
mod trace_context;
mod trees;
