//! The client against real sockets, and the pool of endpoints against a clock of our own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod balance;
mod cancellation;
mod connections;
mod faults;
mod http2;
mod limits;
mod support;
mod tls;
