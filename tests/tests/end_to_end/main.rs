//! The whole process, as its users meet it.
//!
//! Each module is one kind of meeting. They run the program that `cargo build` made, in front of simulated backends, and assert
//! what came back, the span tree above all.

#![expect(clippy::expect_used, reason = "what goes wrong in a test fails it")]

mod failures;
mod trees;
