//! A real Envoy with our router as its external processor: its configuration, its process, its doors.
//!
//! Ports are the kernel's choice; where Envoy listens is asked of its admin interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::client::Client;
use crate::process::{Ended, Process};

/// Where Envoy's program is.
pub const ENVOY: &str = "SEMANTIC_ROUTER_ENVOY";

/// A configuration with one listener, our router, and backends by the header that the router sets.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The `ext_proc` filter.
    pub processor: Value,
    /// Filters behind it.
    pub behind: Vec<Value>,
    /// Clusters besides the router and the backends.
    pub clusters: Vec<Value>,
    /// The route of every request.
    pub route: Value,
    /// Further members of the connection manager, such as `tracing`.
    pub manager: Value,
}

impl Setup {
    /// The router at this address, asked in these body modes.
    #[must_use]
    pub fn new(router: SocketAddr, request_body: &str, response_body: &str) -> Setup {
        Setup {
            processor: processor("router", request_body, response_body),
            behind: Vec::new(),
            clusters: vec![grpc_cluster("router", router)],
            route: json!({ "cluster": "backends", "timeout": "60s" }),
            manager: json!({}),
        }
    }

    /// With a member of the `ext_proc` filter.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Setup {
        self.processor[member] = value;
        self
    }

    fn document(&self) -> Value {
        let mut filters =
            vec![json!({ "name": "envoy.filters.http.ext_proc", "typed_config": self.processor })];
        filters.extend(self.behind.iter().cloned());
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }));
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "tests",
            "route_config": { "virtual_hosts": [{
                "name": "all", "domains": ["*"], "routes": [{ "match": { "prefix": "/" }, "route": self.route }],
            }] },
            "http_filters": filters,
        });
        for (key, value) in self.manager.as_object().into_iter().flatten() {
            manager[key] = value.clone();
        }
        let mut clusters = vec![json!({
            "name": "backends",
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "5s",
            "original_dst_lb_config": { "use_http_header": true, "http_header_name": "x-gateway-destination-endpoint" },
        })];
        clusters.extend(self.clusters.iter().cloned());
        json!({
            "admin": { "address": socket("127.0.0.1:0".parse().expect("an address")) },
            "static_resources": {
                "listeners": [{
                    "name": "door",
                    "address": socket("127.0.0.1:0".parse().expect("an address")),
                    // Bodies of tests are larger than what Envoy keeps by default.
                    "per_connection_buffer_limit_bytes": 16 * 1024 * 1024,
                    "filter_chains": [{ "filters": [{
                        "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
                    }] }],
                }],
                "clusters": clusters,
            },
        })
    }
}

/// An `ext_proc` filter that asks a cluster.
#[must_use]
pub fn processor(cluster: &str, request_body: &str, response_body: &str) -> Value {
    let trailers = |mode: &str| if mode == "FULL_DUPLEX_STREAMED" { "SEND" } else { "SKIP" };
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": { "envoy_grpc": { "cluster_name": cluster }, "timeout": "60s" },
        // The tests run without optimisation, on machines under load.
        "message_timeout": "20s",
        "processing_mode": {
            "request_header_mode": "SEND",
            "response_header_mode": "SEND",
            "request_body_mode": request_body,
            "response_body_mode": response_body,
            "request_trailer_mode": trailers(request_body),
            "response_trailer_mode": trailers(response_body),
        },
    })
}

/// A cluster that speaks gRPC.
#[must_use]
pub fn grpc_cluster(name: &str, address: SocketAddr) -> Value {
    let mut cluster = http_cluster(name, address);
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        }
    });
    cluster
}

/// A cluster of one address.
#[must_use]
pub fn http_cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{
            "endpoint": { "address": socket(address) },
        }] }] },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    /// The process.
    pub process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Envoy {
    /// Starts the program with a configuration and waits until it listens.
    pub async fn start(program: &Path, setup: &Setup) -> Envoy {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, setup.document().to_string()).expect("the configuration can be written");
        Envoy::start_file(program, &file, folder).await
    }

    /// Starts the program with a file and waits until its first listener is open.
    pub async fn start_file(program: &Path, file: &Path, folder: TempDir) -> Envoy {
        let mut command = Command::new(program);
        command.arg("-c").arg(file).args(["--concurrency", "1", "--disable-hot-restart", "-l", "info"]);
        command.env_clear();
        let process = Process::spawn(command);
        let found = |text: &str| {
            let (_, rest) = text.split_once("admin address: ")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let admin: SocketAddr = process.stderr.until("the admin address", found).await;
        process.stderr.until_contains("starting workers").await;
        let listeners = Client::of(admin).get("/listeners?format=json").await.json();
        let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = socket["port_value"].as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.unwrap_or_else(|| panic!("Envoy has no listener: {listeners}"));
        Envoy { process, address: SocketAddr::from(([127, 0, 0, 1], port)), _folder: folder }
    }

    /// A client of its listener.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }

    /// Its listener, as clients of the API want it.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Ends it.
    pub async fn end(self) -> Ended {
        self.process.signal("TERM").await;
        self.process.ended().await
    }
}

/// Envoy's program; without it the test is noted as skipped, and should return.
#[must_use]
pub fn found(test: &str) -> Option<PathBuf> {
    crate::real_parts::found(test, ENVOY)
}
