//! `listen` and `access` as people write them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::defaults;
use crate::secret::Secret;

/// Addresses that the router listens on. Each is `host:port`, a mapping, or `off`.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    /// The HTTP door: the OpenAI-compatible API, the classification API, health.
    #[schemars(extend("default" = defaults::HTTP_ADDRESS))]
    pub http: Option<Listener>,
    /// Prometheus `/metrics`.
    #[schemars(extend("default" = defaults::METRICS_ADDRESS))]
    pub metrics: Option<Listener>,
    /// The admin API. Changes need its token.
    #[schemars(extend("default" = defaults::ADMIN_ADDRESS))]
    pub admin: Option<Listener>,
    /// Envoy external processing (`ext_proc` v3) over gRPC, with gRPC health and reflection.
    #[schemars(extend("default" = defaults::EXTPROC_ADDRESS))]
    pub extproc: Option<ExtProcListener>,
}

/// The listener for Envoy.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ExtProcListener {
    /// `false` switches the listener off, `true` leaves it at its default address.
    Switch(bool),
    /// `host:port`, or `off`.
    Address(String),
    /// The long form.
    Block(ExtProcBlock),
}

/// The listener for Envoy, in the long form.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtProcBlock {
    /// `host:port`; the host is an IP address or `localhost`.
    pub address: Option<String>,
    /// Certificates of this listener; with them it speaks TLS and nothing else.
    pub tls: Option<ListenerTls>,
    /// How long a decision may take once the request's body is there, in milliseconds; the request is refused after that.
    /// It has to stay under Envoy's `message_timeout`, which is 200 ms unless Envoy's configuration says otherwise.
    #[schemars(range(min = 1, max = 600000), extend("default" = defaults::DECISION_TIMEOUT_MS))]
    pub decision_timeout_ms: Option<u64>,
    /// What happens to a prompt that Envoy sends in a way in which it cannot be routed by its content, such as in the
    /// body mode `STREAMED` without `allow_mode_override`.
    #[schemars(extend("default" = "refuse"))]
    pub on_unroutable: Option<OnUnroutable>,
}

/// What happens to a prompt that cannot be routed by its content.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnUnroutable {
    /// It goes on as it came, unchecked.
    Pass,
    /// It is answered with an error.
    Refuse,
}

/// One listener.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Listener {
    /// `false` switches the listener off, `true` leaves it at its default address.
    Switch(bool),
    /// `host:port`, or `off`.
    Address(String),
    /// The long form.
    Block(ListenerBlock),
}

/// One listener, in the long form.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerBlock {
    /// `host:port`; the host is an IP address or `localhost`.
    pub address: Option<String>,
    /// The token that changes through the admin API need.
    pub token: Option<Secret>,
    /// Certificates of this listener; with them it speaks TLS and nothing else.
    pub tls: Option<ListenerTls>,
}

/// Certificates of a listener. The files are read at the start and at each reload.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerTls {
    /// The file of the listener's certificate, in PEM, with the certificates between it and its authority.
    #[schemars(required)]
    pub certificate_file: Option<String>,
    /// The file of the certificate's key, in PEM, not encrypted.
    #[schemars(required)]
    pub key_file: Option<String>,
    /// The file of the authorities, in PEM, by one of which a client's certificate has to be signed (mutual TLS). Left out:
    /// clients need no certificate.
    pub ca_file: Option<String>,
}

/// Who may call, and how much.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Access {
    /// `open`: everybody who can reach the listener.
    Word(AccessMode),
    /// The long form.
    Block(Box<AccessBlock>),
}

/// Who may call.
#[derive(Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessMode {
    /// Everybody who can reach the listener.
    Open,
    /// Callers with one of `keys`.
    Keys,
}

/// Who may call, and how much, in the long form.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessBlock {
    /// `keys` as soon as there are keys; `open` must be written out where a listener is not on loopback.
    pub mode: Option<AccessMode>,
    /// API keys, hashed.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Peers (addresses or networks such as `10.0.0.0/8`, or `loopback`) whose `x-user-id` and `x-session-id` count.
    #[serde(default)]
    pub trusted_peers: Vec<String>,
    /// Bounds on what a client may send.
    pub limits: Option<Limits>,
    /// Requests, tokens and cost per time. Not available in this version.
    pub rates: Option<serde_json::Map<String, serde_json::Value>>,
}

/// One API key.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// Who calls with this key; it appears in traces.
    #[schemars(required)]
    pub name: Option<String>,
    /// SHA-256 of the key, 64 hexadecimal digits: `printf %s "$KEY" | sha256sum`.
    #[schemars(required)]
    pub sha256: Option<Secret>,
    /// Models that this key may use. Left out: all.
    pub models: Option<Vec<String>>,
}

/// Bounds on what a client may send.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// The largest request body, in bytes.
    #[schemars(range(min = 1024, max = 1073741824), extend("default" = defaults::BODY_BYTES))]
    pub body_bytes: Option<u64>,
    /// The largest request head, in bytes.
    #[schemars(range(min = 1024, max = 1048576), extend("default" = defaults::HEADER_BYTES))]
    pub header_bytes: Option<u64>,
    /// The most header lines.
    #[schemars(range(min = 8, max = 1000), extend("default" = defaults::HEADERS))]
    pub headers: Option<u64>,
    /// The most messages in a conversation.
    #[schemars(range(min = 1, max = 1000000), extend("default" = defaults::MESSAGES))]
    pub messages: Option<u64>,
    /// How long a client may take to send a whole request, in milliseconds.
    #[schemars(range(min = 1, max = 3600000), extend("default" = defaults::READ_TIMEOUT_MS))]
    pub read_timeout_ms: Option<u64>,
    /// The most requests in flight at once.
    #[schemars(range(min = 1, max = 1000000), extend("default" = defaults::IN_FLIGHT))]
    pub in_flight: Option<u64>,
    /// The most client connections at once; a further one takes the place of one that has no request in progress, or waits.
    #[schemars(range(min = 1, max = 1000000), extend("default" = defaults::CONNECTIONS))]
    pub connections: Option<u64>,
}
