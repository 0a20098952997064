//! Certificates of listeners, as operators meet them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tests::backend::faulty;
use tests::client::{chat, post};
use tests::configuration::Configuration;
use tests::process::Process;
use tests::router::Router;
use tests::{PATIENCE, bounded};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Writes a certificate of this machine and its key; what a client has to trust.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("router.pem"), cert.pem()).expect("a file");
    std::fs::write(folder.join("router.key"), signing_key.serialize_pem()).expect("a file");
    cert.der().clone()
}

/// Doors over TLS with the certificate in this folder, in front of one model.
fn configuration(folder: &Path, backend: SocketAddr) -> Configuration {
    let at = folder.display();
    let door = format!(
        "{{ address: \"127.0.0.1:0\", tls: {{ certificate_file: \"{at}/router.pem\", key_file: \"{at}/router.key\" }} }}"
    );
    Configuration::exactly(format!(
        "listen: {{ http: {door}, metrics: {door}, admin: {door}, extproc: off }}\n\
         models: [{{ name: small, endpoints: [{{ name: a, address: \"http://{backend}\" }}] }}]\n"
    ))
}

/// Sends a request over TLS; the whole answer.
async fn ask(address: SocketAddr, trusted: &CertificateDer<'static>, request: &[u8]) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("versions of TLS").with_root_certificates(roots).with_no_client_auth();
    let asking = async {
        let stream = TcpStream::connect(address).await.expect("the door is open");
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream =
            connector.connect(ServerName::from(address.ip()), stream).await.expect("a handshake");
        stream.write_all(request).await.expect("the request goes out");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("a whole answer");
        answer
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
}

#[test]
fn every_http_door_speaks_tls_and_a_renewed_certificate_is_taken_over() {
    bounded(async {
        let certificates = tempfile::tempdir().expect("a folder");
        let first = certificate(certificates.path());
        let backend = faulty("small", &[]).await;
        let router = Router::start(configuration(certificates.path(), backend.address())).await;
        let request = post("/v1/chat/completions", &[], chat("Hi").to_string().as_bytes());
        let answer = ask(router.address(), &first, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-trace-id"), "{answer}");
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        for (door, path) in [("metrics", "/metrics"), ("admin", "/admin/v1/config")] {
            let address = router.door(door).await.address();
            let answer = ask(address, &first, get(path).as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{door}: {answer}");
        }

        // A certificate that does not fit its key is not taken over, whatever else has changed.
        let key = std::fs::read(certificates.path().join("router.key")).expect("a key");
        let second = certificate(certificates.path());
        let renewed = std::fs::read(certificates.path().join("router.key")).expect("a key");
        std::fs::write(certificates.path().join("router.key"), key).expect("a file");
        router.process.signal("HUP").await;
        router.process.stderr.until_contains("configuration not reloaded").await;
        router.process.stderr.until_contains("listen.http.tls.key_file").await;
        assert!(ask(router.address(), &first, get("/health").as_bytes()).await.contains("200"));

        std::fs::write(certificates.path().join("router.key"), renewed).expect("a file");
        let yaml = std::fs::read_to_string(router.file()).expect("the file");
        std::fs::write(router.file(), yaml + "cache: { enabled: false }\n").expect("a file");
        router.process.stderr.until_contains("configuration reloaded").await;
        assert!(ask(router.address(), &second, get("/health").as_bytes()).await.contains("200"));
        router.end().await;
    });
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_at_the_start() {
    bounded(async {
        let folder = tempfile::tempdir().expect("a folder");
        certificate(folder.path());
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, configuration(folder.path(), ([127, 0, 0, 1], 9).into()).yaml())
            .expect("a file");
        let path = folder.path().join("router.pem");
        std::fs::write(&path, "certainly not PEM").expect("a file");
        let ended =
            Process::start(&["--config", file.to_str().expect("a path")], &[], folder.path()).ended().await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let expected = format!("listen.http.tls.certificate_file: {}", path.display());
        assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    });
}
