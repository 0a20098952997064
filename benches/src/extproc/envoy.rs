//! Envoy with one worker, in front of one backend, with or without a processor.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::rig::Failure;
use crate::rig::process::{Process, clean, free_address};

/// How bodies go to the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// The request whole, the answer in pieces.
    Buffered,
    /// Both in full duplex.
    FullDuplex,
}

/// Starts it.
pub(super) fn start(
    program: &Path,
    backend: SocketAddr,
    processor: Option<SocketAddr>,
    bodies: Bodies,
) -> Result<Process, Failure> {
    let address = free_address()?;
    let mut command = clean(program);
    command.args(["--config-yaml", &configuration(address, backend, processor, bodies).to_string()]);
    command.args(["--concurrency", "1", "--disable-hot-restart", "-l", "critical"]);
    Process::start(command, address)
}

/// Without a header of the processor's the request goes to the backend too, so that a processor that does nothing is
/// measured on the same way.
fn configuration(
    listen: SocketAddr,
    backend: SocketAddr,
    processor: Option<SocketAddr>,
    bodies: Bodies,
) -> Value {
    let (request, response, trailers) = match bodies {
        Bodies::Buffered => ("BUFFERED", "STREAMED", "SKIP"),
        Bodies::FullDuplex => ("FULL_DUPLEX_STREAMED", "FULL_DUPLEX_STREAMED", "SEND"),
    };
    let filter = json!({
        "name": "envoy.filters.http.ext_proc",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": { "envoy_grpc": { "cluster_name": "processor" } },
            "message_timeout": "2s",
            "processing_mode": {
                "request_header_mode": "SEND", "request_body_mode": request, "request_trailer_mode": trailers,
                "response_header_mode": "SEND", "response_body_mode": response, "response_trailer_mode": trailers,
            },
        },
    });
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let filters: Vec<Value> = processor.map(|_| filter).into_iter().chain([router]).collect();
    let mut clusters = vec![cluster("backend", backend)];
    if let Some(processor) = processor {
        let mut cluster = cluster("processor", processor);
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
        clusters.push(cluster);
    }
    json!({ "static_resources": {
        "listeners": [{ "name": "door", "address": socket(listen), "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "bench",
                "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
                    { "match": { "prefix": "/" }, "route": { "cluster": "backend" } },
                ] }] },
                "http_filters": filters,
            },
        }] }] }],
        "clusters": clusters,
    } })
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": socket(address) } },
        ] }] },
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
