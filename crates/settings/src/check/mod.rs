//! What the program trusts: [`Settings`], and the way from the raw file to them.
//!
//! What it is not: a reader of files or of YAML. Its invariant: a value of type [`Settings`] is complete: every default
//! is filled in, every address parsed, every reference resolved to an index or a verified name. Nobody checks again.

pub mod access;
pub mod cache;
pub mod decisions;
pub mod groups;
pub mod listen;
pub mod models;
pub mod observability;
pub mod routing;
pub mod signals;
pub mod upstream;
pub mod vocabulary;

/// Everything that the program needs to know, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where the router listens.
    pub listen: listen::Listen,
    /// Who may call, and how much.
    pub access: access::Access,
    /// The models, in the order of the file. May be empty: then every request is answered with 503 `no_backend`.
    pub models: Vec<models::Model>,
    /// The model when no decision matches; `None` exactly when `models` is empty.
    pub default_model: Option<models::ModelIndex>,
    /// Groups of domains, the built-in ones included, ordered by name.
    pub groups: Vec<groups::Group>,
    /// Families of reasoning models, the built-in ones included.
    pub reasoning_families: Vec<models::ReasoningFamily>,
    /// Everything that can be measured of a request, the built-in signals first. One that no decision uses need not be.
    pub signals: Vec<signals::Signal>,
    /// What follows, highest priority first, the built-in decisions included and switched-off ones left out.
    pub decisions: Vec<decisions::Decision>,
    /// How a model is chosen when no decision says so.
    pub routing: routing::Routing,
    /// Failover, retries, ejection.
    pub upstream: upstream::Upstream,
    /// Answers that are remembered.
    pub cache: cache::Cache,
    /// What happens when an optional stage fails.
    pub on_failure: routing::OnFailure,
    /// What happens to answers.
    pub responses: routing::Responses,
    /// Traces, logs, metrics.
    pub observability: observability::Observability,
    /// How long requests in flight may take to end.
    pub drain: std::time::Duration,
}
