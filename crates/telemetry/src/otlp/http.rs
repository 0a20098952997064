//! OTLP over HTTP with protocol buffers.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use trace::Text;

use super::exporter::{Failure, root_cause};
use super::retry::{Verdict, http_verdict};
use super::{Compression, Config, ConfigError, Endpoint, EndpointError, Tls, Transport};

/// A collector's answer is short; what is longer is none.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// A way to a collector over HTTP.
pub(super) struct Http {
    uri: Uri,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// Checks the configuration; connects only when there is something to send.
    pub(super) fn new(config: &Config) -> Result<Http, ConfigError> {
        let tls_config = match config.endpoint.transport() {
            Transport::Tls => tls(&config.tls)?,
            // Never used, and needs no authorities of the system.
            Transport::Plaintext => {
                client_config()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
            }
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls_config).https_or_http();
        let connector = match &config.tls.server_name {
            Some(name) => {
                let name = ServerName::try_from(name.clone()).map_err(|error| unusable(&error))?;
                connector.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
            None => connector,
        };
        let connector = connector.enable_http1().build();
        Ok(Http {
            uri: traces_uri(&config.endpoint)?,
            headers: headers(config)?,
            compression: config.compression,
            timeout: config.timeout,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// One attempt.
    pub(super) async fn send(&mut self, message: Bytes) -> Result<ExportTraceServiceResponse, Failure> {
        let request = self.request(message)?;
        match tokio::time::timeout(self.timeout, exchange(&self.client, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::timeout(self.timeout)),
        }
    }

    fn request(&self, message: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let body = match self.compression {
            Compression::None => message,
            Compression::Gzip => gzip(&message).map_err(|error| permanent(&error.to_string()))?.into(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

async fn exchange(
    client: &Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<ExportTraceServiceResponse, Failure> {
    let answer = client.request(request).await.map_err(|error| transient(&root_cause(&error)))?;
    let status = answer.status();
    if !status.is_success() {
        let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let verdict = http_verdict(status.as_u16(), retry_after);
        return Err(Failure { what: Text::trusted(format!("the collector answered {status}")), verdict });
    }
    read(answer).await
}

/// An empty answer is a full success; anything but protocol buffers comes from something else than a collector.
async fn read(answer: Response<Incoming>) -> Result<ExportTraceServiceResponse, Failure> {
    let content_type = answer.headers().get(header::CONTENT_TYPE).cloned();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
    let body = body.collect().await.map_err(|error| transient(&error.to_string()))?.to_bytes();
    if body.is_empty() {
        return Ok(ExportTraceServiceResponse::default());
    }
    if content_type.is_some_and(|value| value != PROTOBUF) {
        return Err(permanent("the answer is not OTLP: is this address a collector?"));
    }
    ExportTraceServiceResponse::decode(body)
        .map_err(|_| permanent("the answer is not OTLP: is this address a collector?"))
}

/// The endpoint's path with `/v1/traces`, unless it names the traces' path already.
fn traces_uri(endpoint: &Endpoint) -> Result<Uri, ConfigError> {
    let path = endpoint.path();
    let suffix = if path.ends_with("/traces") { "" } else { "/v1/traces" };
    format!("{}{path}{suffix}", endpoint.origin())
        .parse()
        .map_err(|_| ConfigError::Endpoint(EndpointError::Malformed))
}

fn headers(config: &Config) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let refused = || ConfigError::Header(name.clone());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    headers.insert(header::CONTENT_TYPE, PROTOBUF);
    if config.compression == Compression::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let agent = concat!("semantic-router/", env!("CARGO_PKG_VERSION"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(agent));
    Ok(headers)
}

fn client_config() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))
}

fn tls(tls: &Tls) -> Result<ClientConfig, ConfigError> {
    let builder = client_config()?;
    let builder = match &tls.authorities_pem {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.with_native_roots().map_err(|error| unusable(&error))?,
    };
    let Some(identity) = &tls.identity else { return Ok(builder.with_no_client_auth()) };
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|error| unusable(&error))?;
    builder
        .with_client_auth_cert(certificates(&identity.certificate_pem)?, key)
        .map_err(|error| unusable(&error))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(ConfigError::Tls("no certificate in it".to_owned())),
        Err(error) => Err(ConfigError::Tls(error.to_string())),
    }
}

fn unusable(what: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::Tls(what.to_string())
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn transient(what: &str) -> Failure {
    Failure { what: Text::from_outside(what), verdict: Verdict::Transient { asked: None } }
}

fn permanent(what: &str) -> Failure {
    Failure { what: Text::from_outside(what), verdict: Verdict::Permanent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_added_where_it_is_missing() {
        let uri = |text| traces_uri(&Endpoint::parse(text, Some(true), 4318).unwrap()).unwrap().to_string();
        assert_eq!(uri("collector"), "http://collector:4318/v1/traces");
        assert_eq!(uri("https://otlp.example.com:443/base/"), "https://otlp.example.com:443/base/v1/traces");
        assert_eq!(uri("http://c:1/v1/traces"), "http://c:1/v1/traces");
    }

    #[test]
    fn unusable_certificates_are_a_mistake_of_the_configuration() {
        let tls_of = |pem: &[u8]| tls(&Tls { authorities_pem: Some(pem.to_vec()), ..Tls::default() });
        assert!(matches!(tls_of(b"nothing"), Err(ConfigError::Tls(_))));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(tls_of(broken), Err(ConfigError::Tls(_))));
    }
}
