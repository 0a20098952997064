//! OTLP: records to a collector.
//!
//! Converting and sending happen on the destination's own thread. A batch is tried a bounded number of times
//! within bounded pauses; while it is, the queue before it fills and then drops.

mod encode;
mod endpoint;
mod exporter;
mod failures;
mod grpc;
mod http;
mod protobuf;
mod retry;

use std::fmt;
use std::time::Duration;

pub use encode::{SCOPE_NAME, export_request};
pub use endpoint::{Endpoint, EndpointError, Transport};
pub use exporter::Otlp;
pub use retry::Retry;

use crate::View;

/// OTLP's port for gRPC.
pub const GRPC_PORT: u16 = 4317;

/// OTLP's port for HTTP.
pub const HTTP_PORT: u16 = 4318;

/// OTLP's transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`.
    #[default]
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
}

impl Protocol {
    /// The port where collectors listen for it.
    pub fn default_port(self) -> u16 {
        match self {
            Protocol::Grpc => GRPC_PORT,
            Protocol::HttpProtobuf => HTTP_PORT,
        }
    }
}

/// Compression of exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// None.
    #[default]
    None,
    /// Gzip.
    Gzip,
}

/// Certificates of an encrypted way. All texts are PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Whom to trust; the system's authorities if absent.
    pub authorities_pem: Option<Vec<u8>>,
    /// Who we are, where the collector asks (mTLS).
    pub identity: Option<Identity>,
    /// The name in the collector's certificate, where it differs from the host.
    pub server_name: Option<String>,
}

/// A client certificate and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate and its chain.
    pub certificate_pem: Vec<u8>,
    /// The private key.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// How to reach a collector and what to send.
#[derive(Clone)]
pub struct Config {
    /// Where.
    pub endpoint: Endpoint,
    /// Over which transport.
    pub protocol: Protocol,
    /// Sent with every export. Values are secret.
    pub headers: Vec<(String, String)>,
    /// Of the exports.
    pub compression: Compression,
    /// Of one attempt, connecting included.
    pub timeout: Duration,
    /// Further attempts.
    pub retry: Retry,
    /// Certificates, where the way is encrypted.
    pub tls: Tls,
    /// What it gets of each record.
    pub view: View,
}

impl Config {
    /// OTLP's defaults for an endpoint: gRPC, no headers, no compression, ten seconds per attempt.
    pub fn new(endpoint: Endpoint) -> Config {
        Config {
            endpoint,
            protocol: Protocol::Grpc,
            headers: Vec::new(),
            compression: Compression::None,
            timeout: Duration::from_secs(10),
            retry: Retry::default(),
            tls: Tls::default(),
            view: View::default(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .field("headers", &headers)
            .field("compression", &self.compression)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Why an exporter cannot be built: a mistake in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A header whose name or value HTTP does not allow.
    #[error("the OTLP header `{0}` is not valid: names are ASCII words, values printable ASCII")]
    Header(String),
    /// The certificates.
    #[error("the certificates of the OTLP exporter cannot be used: {0}; check that the files are PEM")]
    Tls(String),
}
