//! OTLP over gRPC.

use std::error::Error as _;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc as Client;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as TonicEndpoint, Identity};
use tonic::{Request, Response, Status};
use trace::Text;

use super::exporter::{Failure, root_cause};
use super::retry::grpc_verdict;
use super::{Compression, Config, ConfigError, EndpointError, Tls, Transport};

/// A way to a collector over gRPC.
pub(super) struct Grpc {
    endpoint: TonicEndpoint,
    metadata: MetadataMap,
    compression: Compression,
    timeout: Duration,
    client: Option<Client<Channel>>,
}

impl Grpc {
    /// Checks the configuration; connects only when there is something to send.
    pub(super) fn new(config: &Config) -> Result<Grpc, ConfigError> {
        let mut endpoint = TonicEndpoint::from_shared(config.endpoint.origin())
            .map_err(|_| ConfigError::Endpoint(EndpointError::Malformed))?
            .connect_timeout(config.timeout)
            .http2_keep_alive_interval(Duration::from_secs(30));
        if config.endpoint.transport() == Transport::Tls {
            endpoint = endpoint
                .tls_config(tls(&config.tls))
                .map_err(|error| ConfigError::Tls(root_cause(&error)))?;
        }
        Ok(Grpc {
            endpoint,
            metadata: metadata(config)?,
            compression: config.compression,
            timeout: config.timeout,
            client: None,
        })
    }

    /// One attempt.
    pub(super) async fn send(&mut self, message: Bytes) -> Result<ExportTraceServiceResponse, Failure> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        let client = self.client.get_or_insert_with(|| connect(&self.endpoint, self.compression));
        match tokio::time::timeout(self.timeout, export(client, request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Failure { what: describe(&status), verdict: grpc_verdict(&status) }),
            Err(_) => {
                // What hangs is not worth keeping.
                self.client = None;
                Err(Failure::timeout(self.timeout))
            }
        }
    }
}

fn connect(endpoint: &TonicEndpoint, compression: Compression) -> Client<Channel> {
    let client = Client::new(endpoint.connect_lazy());
    match compression {
        Compression::None => client,
        Compression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
    }
}

/// `opentelemetry.proto.collector.trace.v1.TraceService/Export`.
async fn export(
    client: &mut Client<Channel>,
    request: Request<Bytes>,
) -> Result<Response<ExportTraceServiceResponse>, Status> {
    client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
    let path = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    client.unary(request, path, Encoded).await
}

/// A codec for requests that are bytes already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Encoded;
    type Decoder = Encoded;

    fn encoder(&mut self) -> Encoded {
        Encoded
    }

    fn decoder(&mut self) -> Encoded {
        Encoded
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.len());
        out.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // Nothing is set aside before a message is there; what it takes is known then.
        BufferSettings::new(0, usize::MAX)
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, answer: &mut DecodeBuf<'_>) -> Result<Option<ExportTraceServiceResponse>, Status> {
        let answer = ExportTraceServiceResponse::decode(answer);
        answer.map(Some).map_err(|error| Status::internal(error.to_string()))
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
