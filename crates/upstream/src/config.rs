//! What the client is told once, and how it can fail to start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a [`crate::Client`]. Timeouts of calls are not among them: each endpoint has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Idle connections that are kept per endpoint; more are closed.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept. Below the 75 s after which many servers close theirs.
    pub idle_timeout: Duration,
    /// Origins (`http://host:port`, as in [`pipeline::policy::Address::origin`]) that are spoken to in HTTP/2 without
    /// asking first. Over TLS the version is negotiated instead.
    pub http2_prior_knowledge: Vec<Arc<str>>,
    /// Largest head of an answer: names and values of all header lines together, in bytes; at
    /// least 8192.
    pub max_head_bytes: u32,
    /// A PEM file with root certificates that are trusted besides the system's.
    pub extra_roots: Option<PathBuf>,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            max_idle_per_host: 256,
            idle_timeout: Duration::from_secs(60),
            http2_prior_knowledge: Vec::new(),
            max_head_bytes: 64 * 1024,
            extra_roots: None,
        }
    }
}

/// Why a client cannot be made. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of extra root certificates cannot be read, or holds something else.
    #[error("{path}: {reason}; give a PEM file with at least one CERTIFICATE block", path = .path.display())]
    ExtraRoots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
