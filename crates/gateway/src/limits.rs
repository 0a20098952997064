//! Bounds on what clients may send, the same on every door.

use std::time::Duration;

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Largest request head, in bytes, names and values with four bytes for each line.
    pub header_bytes: usize,
    /// Most header lines.
    pub headers: usize,
    /// Most messages in a conversation.
    pub messages: usize,
    /// How long a request's body may take.
    pub read_timeout: Duration,
    /// How long a request's head may take; also how long a connection may stay idle.
    pub head_timeout: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// How long answers in progress may take once the door closes.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 10 * 1024 * 1024,
            header_bytes: 64 * 1024,
            headers: 100,
            messages: 10_000,
            read_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(30),
            connections: 4096,
            drain: Duration::from_secs(30),
        }
    }
}
