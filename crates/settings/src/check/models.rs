//! Models, their endpoints, and families of reasoning models.

pub use crate::raw::models::{Dialect, FamilyKind, Usage};
use crate::secret::Secret;

/// The place of a model in [`super::Settings::models`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelIndex(pub usize);

/// The place of a family in [`super::Settings::reasoning_families`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyIndex(pub usize);

/// One model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name by which clients and decisions call it; unique.
    pub name: String,
    /// The name that its backends know; the same unless the file says otherwise.
    pub upstream_name: String,
    /// What it is for, by itself.
    pub category: Option<Category>,
    /// Where it is served; at least one.
    pub endpoints: Vec<Endpoint>,
    /// Who provides it, for traces.
    pub provider: Option<String>,
    /// Its version, for traces.
    pub version: Option<String>,
    /// The APIs that its endpoints speak; at least one.
    pub dialects: Vec<Dialect>,
    /// Whether token counts of streams are asked for.
    pub usage: Usage,
    /// Timeouts, those of `upstream` filled in.
    pub timeouts: super::upstream::Timeouts,
    /// The most requests at once to all its endpoints.
    pub max_parallel: Option<u32>,
    /// The most tokens of prompt and answer together.
    pub context_length: Option<u64>,
    /// Prices.
    pub pricing: Option<Pricing>,
    /// How its reasoning is switched.
    pub reasoning_family: Option<FamilyIndex>,
    /// Types of personal data that it may not see, words of [`super::vocabulary::PII_TYPES`]. Empty: it may see all.
    pub denied_pii: Vec<&'static str>,
}

/// What a model is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// The word in the file.
    pub name: String,
    /// The domains that it stands for.
    pub domains: Vec<&'static str>,
    /// Whether prompts of low confidence belong to it too.
    pub takes_low_confidence: bool,
}

/// One place where a model is served, with everything resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The endpoint's name; unique among all endpoints of one address, so that spans are unambiguous.
    pub name: String,
    /// Plaintext or TLS.
    pub scheme: Scheme,
    /// Host name or IP address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What comes before `/v1/…`: empty, or `/…` without a slash at the end.
    pub path_prefix: String,
    /// The share of requests.
    pub weight: u32,
    /// Whose key it gets.
    pub credentials: Credentials,
    /// Headers added to each request; names are valid and in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Whether it is our own and may see baggage.
    pub internal: bool,
    /// Whether it takes names of models that the file does not list.
    pub any_model: bool,
    /// The most requests at once.
    pub max_parallel: Option<u32>,
}

impl Endpoint {
    /// `scheme://host:port`, IPv6 in brackets, without the path prefix.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = self.scheme.as_str();
        if self.host.contains(':') {
            format!("{scheme}://[{}]:{}", self.host, self.port)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// Plaintext or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Whose key an endpoint gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// None.
    None,
    /// This one, as `authorization: Bearer …`.
    Key(Secret),
    /// The caller's own `authorization`.
    Passthrough,
}

/// Prices in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pricing {
    /// Tokens of the prompt.
    pub prompt: f64,
    /// Tokens of the prompt that the backend had cached.
    pub cached: f64,
    /// Tokens of the answer.
    pub completion: f64,
}

/// How reasoning is switched for a family of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasoningFamily {
    /// Its name.
    pub name: String,
    /// The field of the request, as the names on the way to it; at least one.
    pub parameter: Vec<String>,
    /// What the field holds.
    pub kind: FamilyKind,
}
