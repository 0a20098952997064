//! Encrypted ways to a collector: whom the exporters trust, and who they say they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use telemetry::otlp::{Config, Endpoint, Identity, Otlp, Protocol, Retry, Tls};
use telemetry::{Delivery, Destination, Resource};
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Certificate, ServerTlsConfig};

use crate::{otlp_grpc, otlp_http};

struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
struct Leaf {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    fn signs(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A collector over TLS; with `clients`, only for those that this authority knows.
async fn collector(
    protocol: Protocol,
    leaf: &Leaf,
    clients: Option<&Authority>,
) -> (SocketAddr, Box<dyn std::any::Any>) {
    match protocol {
        Protocol::Grpc => {
            let identity = tonic::transport::Identity::from_pem(&leaf.certificate, &leaf.key);
            let mut tls = ServerTlsConfig::new().identity(identity);
            if let Some(clients) = clients {
                tls = tls.client_ca_root(Certificate::from_pem(clients.pem()));
            }
            let server = tonic::transport::Server::builder().tls_config(tls).unwrap();
            let running = otlp_grpc::collector_on(server, []).await;
            (running.address, Box::new(running))
        }
        Protocol::HttpProtobuf => {
            let acceptor = TlsAcceptor::from(Arc::new(server_config(leaf, clients)));
            let (address, received, tasks) = otlp_http::collector_over(Some(acceptor), vec![]).await;
            (address, Box::new((received, tasks)))
        }
    }
}

fn server_config(leaf: &Leaf, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let certificate = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    builder.with_single_cert(vec![certificate], key).unwrap()
}

fn trusting(authority: &Authority) -> Tls {
    Tls { authorities_pem: Some(authority.pem().into_bytes()), ..Tls::default() }
}

async fn deliver(protocol: Protocol, address: SocketAddr, tls: Tls) -> Delivery {
    let endpoint = Endpoint::parse(&format!("https://{address}"), None, 4317).unwrap();
    let retry = Retry { attempts: 1, initial: Duration::from_millis(1), longest: Duration::from_millis(1) };
    let timeout = Duration::from_secs(5);
    let config = Config { protocol, tls, retry, timeout, ..Config::new(endpoint) };
    Otlp::new(&config, Resource::new("router")).unwrap().deliver(&otlp_grpc::batch()).await
}

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

#[tokio::test]
async fn a_certificate_of_a_known_authority_and_the_right_name_is_trusted() {
    let authority = Authority::new();
    for protocol in BOTH {
        let (address, _running) = collector(protocol, &authority.signs("127.0.0.1"), None).await;
        assert_eq!(
            deliver(protocol, address, trusting(&authority)).await,
            Delivery::Delivered,
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_or_of_another_name_is_not() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for protocol in BOTH {
        let (log, _guard) = otlp_grpc::logged();
        let (address, _running) = collector(protocol, &stranger.signs("127.0.0.1"), None).await;
        assert_eq!(deliver(protocol, address, trusting(&authority)).await, Delivery::Failed, "{protocol:?}");
        let text = log.text();
        assert!(text.contains("Failed to export spans: ") && text.contains("certificate"), "{text}");
        let (address, _running) = collector(protocol, &authority.signs("collector.internal"), None).await;
        assert_eq!(deliver(protocol, address, trusting(&authority)).await, Delivery::Failed, "{protocol:?}");
        let named = Tls { server_name: Some("collector.internal".to_owned()), ..trusting(&authority) };
        assert_eq!(deliver(protocol, address, named).await, Delivery::Delivered, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_collector_that_asks_who_we_are_is_told() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let as_client = |leaf: Leaf| {
        let identity =
            Identity { certificate_pem: leaf.certificate.into_bytes(), key_pem: leaf.key.into_bytes() };
        Tls { identity: Some(identity), ..trusting(&authority) }
    };
    for protocol in BOTH {
        let (address, _running) = collector(protocol, &authority.signs("127.0.0.1"), Some(&authority)).await;
        let known = as_client(authority.signs("router"));
        assert_eq!(deliver(protocol, address, known).await, Delivery::Delivered, "{protocol:?}");
        let unknown = as_client(stranger.signs("router"));
        assert_eq!(deliver(protocol, address, unknown).await, Delivery::Failed, "{protocol:?}");
        assert_eq!(deliver(protocol, address, trusting(&authority)).await, Delivery::Failed, "{protocol:?}");
    }
}

#[tokio::test]
async fn plaintext_to_an_encrypted_collector_fails_plainly() {
    let authority = Authority::new();
    for protocol in BOTH {
        let (address, _running) = collector(protocol, &authority.signs("127.0.0.1"), None).await;
        let endpoint = Endpoint::parse(&format!("http://{address}"), None, 4317).unwrap();
        let retry = Retry { attempts: 1, initial: Duration::ZERO, longest: Duration::ZERO };
        let config = Config { protocol, retry, timeout: Duration::from_secs(2), ..Config::new(endpoint) };
        let mut exporter = Otlp::new(&config, Resource::new("router")).unwrap();
        assert_eq!(exporter.deliver(&otlp_grpc::batch()).await, Delivery::Failed, "{protocol:?}");
    }
}
