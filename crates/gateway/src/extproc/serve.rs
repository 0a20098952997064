//! The listener of the door: the processor itself, gRPC health, and gRPC reflection.

use std::sync::Arc;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;
use tonic::service::Routes;

use super::ExtProcDoor;
use super::service::Processor;
use crate::connection::{self, ConnectionLimits};
use crate::listener::Listener;

/// `envoy.service.ext_proc.v3` with everything that it imports, for reflection: what `protoc --include_imports
/// --descriptor_set_out` makes of the protocol files that the crate `envoy-types` ships.
const DESCRIPTORS: &[u8] = include_bytes!("external_processor.bin");

/// Room in a message beside the body: heads, metadata.
const SPARE_BYTES: usize = 1024 * 1024;

/// Streams above the most requests in flight: those get an answer that says so.
const SPARE_STREAMS: usize = 256;

/// Serves on a bound listener until `shutdown` completes; returns when streams in progress have ended or the drain time is over.
///
/// # Errors
///
/// A sentence, when the descriptors for reflection cannot be read.
pub async fn serve(
    listener: impl Into<Listener>,
    door: Arc<ExtProcDoor>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
    let limits = ConnectionLimits {
        connections: door.limits.connections,
        head_timeout: door.limits.head_timeout,
        header_bytes: door.limits.header_bytes,
        headers: door.limits.headers,
        streams: u32::try_from(door.in_flight.limit().saturating_add(SPARE_STREAMS)).unwrap_or(u32::MAX),
        drain: door.limits.drain,
    };
    let message_bytes = door.limits.body_bytes.saturating_add(SPARE_BYTES);
    let processor = ExternalProcessorServer::new(Processor(door))
        .max_decoding_message_size(message_bytes)
        .max_encoding_message_size(usize::MAX);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ExternalProcessorServer<Processor>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reading = |error: tonic_reflection::server::Error| format!("gRPC reflection: {error}");
    let routes = Routes::new(processor)
        .add_service(health_service)
        .add_service(reflection().build_v1().map_err(reading)?)
        .add_service(reflection().build_v1alpha().map_err(reading)?);
    let shutdown = async {
        shutdown.await;
        health.set_not_serving::<ExternalProcessorServer<Processor>>().await;
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    };
    connection::serve(listener.into(), routes.prepare().into_axum_router(), limits, shutdown).await;
    Ok(())
}
