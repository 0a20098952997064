//! Whom the client trusts.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pipeline::exchange::UpstreamFaultKind;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;
use upstream::{Client, ClientConfig, ClientError};

use crate::support::{Backend, call, client, endpoint, exchange, fault_of};

/// A backend over TLS that says which version of HTTP it was asked in, and its certificate as PEM.
async fn tls_backend(protocols: &[&[u8]]) -> (Backend, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let backend = Backend::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // A client that does not trust us ends the handshake.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request: Request<Incoming>| async move {
                let version = match request.version() {
                    Version::HTTP_2 => "HTTP/2",
                    _ => "HTTP/1.1",
                };
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(version.as_bytes()))))
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    (backend, certified.cert.pem())
}

fn file_with(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn trusting(file: &NamedTempFile) -> Result<Client, ClientError> {
    Client::new(ClientConfig { extra_roots: Some(file.path().to_owned()), ..ClientConfig::default() })
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (backend, _) = tls_backend(&[]).await;
    let endpoint = endpoint("https", "localhost", backend.address.port());
    let (kind, description) = fault_of(&client(), call(endpoint)).await;
    assert_eq!(kind, UpstreamFaultKind::Unreachable);
    assert!(description.contains("invalid peer certificate"), "{description}");
}

#[tokio::test]
async fn an_extra_root_is_trusted_and_http2_is_negotiated() {
    let (backend, certificate) = tls_backend(&[b"h2", b"http/1.1"]).await;
    let client = trusting(&file_with(&certificate)).unwrap();
    for _ in 0..3 {
        let endpoint = endpoint("https", "localhost", backend.address.port());
        assert_eq!(exchange(&client, call(endpoint)).await.unwrap(), "HTTP/2");
    }
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_backend_without_http2_is_spoken_to_in_http1() {
    let (backend, certificate) = tls_backend(&[b"http/1.1"]).await;
    let client = trusting(&file_with(&certificate)).unwrap();
    let endpoint = endpoint("https", "localhost", backend.address.port());
    assert_eq!(exchange(&client, call(endpoint)).await.unwrap(), "HTTP/1.1");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused() {
    let (backend, certificate) = tls_backend(&[]).await;
    let client = trusting(&file_with(&certificate)).unwrap();
    let endpoint = endpoint("https", "127.0.0.1", backend.address.port());
    assert_eq!(fault_of(&client, call(endpoint)).await.0, UpstreamFaultKind::Unreachable);
}

#[test]
fn a_file_without_certificates_is_said_to_be_of_no_use() {
    for text in ["", "certainly not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let file = file_with(text);
        let error = trusting(&file).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
        assert!(error.contains("CERTIFICATE block"), "{error}");
    }
    let missing = ClientConfig { extra_roots: Some("/no/such/file.pem".into()), ..ClientConfig::default() };
    assert!(matches!(Client::new(missing), Err(ClientError::ExtraRoots { .. })));
}
