//! OTLP over gRPC: the destination that sends batches to a collector.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as TonicEndpoint, Identity};
use tonic::{Request, Status};
use trace::{Record, Text};

use super::endpoint::Transport;
use super::failures::Failures;
use super::retry::{Verdict, verdict};
use super::{Compression, Config, ConfigError, Tls, convert};
use crate::{Delivery, Destination, Resource};

/// Sends to a collector over gRPC.
pub struct Grpc {
    config: Config,
    resource: Resource,
    endpoint: TonicEndpoint,
    metadata: MetadataMap,
    client: Option<TraceServiceClient<Channel>>,
    failures: Failures,
}

impl Grpc {
    /// Checks the configuration; connects only when there is something to send.
    pub fn new(config: Config, resource: Resource) -> Result<Grpc, ConfigError> {
        let mut endpoint = TonicEndpoint::from_shared(config.endpoint.origin())
            .map_err(|_| ConfigError::Endpoint(super::EndpointError::Malformed))?
            .connect_timeout(config.timeout)
            .http2_keep_alive_interval(Duration::from_secs(30));
        if config.endpoint.transport() == Transport::Tls {
            endpoint = endpoint
                .tls_config(tls(&config.tls))
                .map_err(|error| ConfigError::Tls(root_cause(&error)))?;
        }
        let metadata = metadata(&config)?;
        Ok(Grpc { config, resource, endpoint, metadata, client: None, failures: Failures::default() })
    }

    async fn attempt(
        &mut self,
        message: &ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Status> {
        let mut request = Request::new(message.clone());
        *request.metadata_mut() = self.metadata.clone();
        let client = self.client.get_or_insert_with(|| connect(&self.endpoint, &self.config));
        match tokio::time::timeout(self.config.timeout, client.export(request)).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => {
                // What hangs is not worth keeping.
                self.client = None;
                Err(Status::deadline_exceeded("timeout"))
            }
        }
    }
}

impl Destination for Grpc {
    async fn deliver(&mut self, batch: &[Arc<Record>]) -> Delivery {
        let message = convert::export_request(batch, &self.resource, self.config.vocabularies);
        let mut attempt = 1;
        loop {
            let status = match self.attempt(&message).await {
                Ok(answer) => return self.failures.accepted(answer),
                Err(status) => status,
            };
            let pause = match verdict(&status) {
                Verdict::Transient { asked } => self.config.retry.pause_after(attempt, asked),
                Verdict::Permanent => None,
            };
            self.failures.note(&describe(&status));
            let Some(pause) = pause else { return Delivery::Failed };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

fn connect(endpoint: &TonicEndpoint, config: &Config) -> TraceServiceClient<Channel> {
    let client = TraceServiceClient::new(endpoint.connect_lazy());
    match config.compression {
        Compression::None => client,
        Compression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
    }
}

fn tls(tls: &Tls) -> ClientTlsConfig {
    let mut config = match &tls.authorities_pem {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some(identity) = &tls.identity {
        config = config.identity(Identity::from_pem(&identity.certificate_pem, &identity.key_pem));
    }
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    config
}

fn metadata(config: &Config) -> Result<MetadataMap, ConfigError> {
    let mut metadata = MetadataMap::new();
    for (name, value) in &config.headers {
        let refused = || ConfigError::Header(name.clone());
        let key = tonic::metadata::AsciiMetadataKey::from_bytes(name.to_ascii_lowercase().as_bytes())
            .map_err(|_| refused())?;
        let mut value =
            tonic::metadata::AsciiMetadataValue::try_from(value.as_str()).map_err(|_| refused())?;
        // Headers carry keys: keep them out of debug output and of HPACK's table.
        value.set_sensitive(true);
        metadata.insert(key, value);
    }
    Ok(metadata)
}

/// A failure in a few words: the deepest cause, which names the trouble (`connection refused`), else what the
/// collector said.
fn describe(status: &Status) -> Text {
    match status.source() {
        Some(source) => Text::from_outside(&root_cause(source)),
        None => Text::from_outside(&format!("{}: {}", status.code(), status.message())),
    }
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => cause.to_string(),
    }
}
