//! Models and the endpoints that serve them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dialects::Dialect;
use serde_json::Value;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes the value in.
    pub fn new(value: impl Into<Arc<str>>) -> Secret {
        Secret(value.into())
    }

    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("__REDACTED__")
    }
}

/// A model that clients can be routed to.
#[derive(Debug)]
pub struct Model {
    /// The name by which clients and decisions call it.
    pub name: Arc<str>,
    /// Its name at its backends.
    pub upstream_name: Arc<str>,
    /// The category or group that it serves.
    pub category: Option<Arc<str>>,
    /// Who runs it, such as `vllm`.
    pub provider: Arc<str>,
    /// Its version.
    pub version: Option<Arc<str>>,
    /// Where it is served, at least one.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Most tokens of prompt and answer together.
    pub context_length: Option<u64>,
    /// Prices.
    pub price: Option<Price>,
    /// How its reasoning is switched.
    pub reasoning_family: Option<Arc<ReasoningFamily>>,
    /// Which personal data it may see.
    pub pii: PiiAllowance,
    /// Whether its endpoints take names that the configuration does not list.
    pub any_model: bool,
}

impl Model {
    /// Whether one of its endpoints speaks a dialect.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.dialects.contains(&dialect))
    }
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Price {
    /// Of the prompt.
    pub prompt: f64,
    /// Of prompt tokens that the backend had cached; `None` means the prompt's price.
    pub cached: Option<f64>,
    /// Of the completion.
    pub completion: f64,
}

/// Which personal data a model may see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PiiAllowance {
    /// All.
    #[default]
    Everything,
    /// These types only.
    Only(Vec<&'static str>),
}

impl PiiAllowance {
    /// Whether a type may be seen.
    pub fn allows(&self, kind: &str) -> bool {
        match self {
            PiiAllowance::Everything => true,
            PiiAllowance::Only(types) => types.contains(&kind),
        }
    }
}

/// How the reasoning of a family of models is switched: members of the request to set, by path.
#[derive(Debug, Clone, PartialEq)]
pub struct ReasoningFamily {
    /// Its name.
    pub name: Arc<str>,
    /// How.
    pub switch: FamilySwitch,
}

/// The means of a family.
#[derive(Debug, Clone, PartialEq)]
pub enum FamilySwitch {
    /// A member that is set to one value for on and to another for off.
    Member {
        /// The path, such as `["chat_template_kwargs", "enable_thinking"]`.
        path: Vec<String>,
        /// For on.
        on: Value,
        /// For off.
        off: Value,
    },
    /// A member that carries the effort; removed, or set to a word, when reasoning is off.
    Effort {
        /// The path, such as `["reasoning_effort"]`.
        path: Vec<String>,
        /// The effort when none is given.
        default: Arc<str>,
    },
}

/// One place where a model is served.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name: unique in a configuration.
    pub name: Arc<str>,
    /// Where.
    pub address: Address,
    /// What comes before `/v1` in the path; empty or starting with `/`.
    pub path_prefix: Arc<str>,
    /// Share of requests among the model's endpoints.
    pub weight: u32,
    /// Most requests at once.
    pub max_parallel: Option<usize>,
    /// How long each phase of a call may take.
    pub timeouts: Timeouts,
    /// Whose key is sent.
    pub credentials: Credentials,
    /// Headers added to every call; names in lower case.
    pub headers: Vec<(Arc<str>, Secret)>,
    /// APIs that it speaks.
    pub dialects: Vec<Dialect>,
    /// Whether it is our own: only those see the caller's baggage.
    pub internal: bool,
    /// Whether token counts of streams are asked for.
    pub ask_usage: bool,
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `http://host:port` or `https://host:port`, as shown.
    pub origin: Arc<str>,
    /// Whether it is `https`.
    pub tls: bool,
    /// The host, without brackets.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

/// Whose key is sent to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None.
    None,
    /// The endpoint's own.
    Key(Secret),
    /// The caller's `authorization`.
    Passthrough,
}

/// How long each phase of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection is open.
    pub connect: Duration,
    /// Until the first byte of the answer's body.
    pub first_token: Duration,
    /// Between two chunks.
    pub idle: Duration,
    /// For all attempts together.
    pub total: Duration,
}
