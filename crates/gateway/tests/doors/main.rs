//! The doors over real sockets, in front of simulated backends: what clients see, what backends see, and what is recorded.
#![cfg(test)]

mod access;
mod admin;
mod authority;
mod bad_input;
mod classify;
mod crowd;
mod extproc;
mod failover;
mod forward;
mod headers;
mod ports;
mod secrets;
mod service;
mod streams;
mod support;
mod tls;
