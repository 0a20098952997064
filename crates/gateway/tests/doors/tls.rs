//! The HTTP door over TLS, and what is no TLS at its port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::tls::Certificates;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::{Authority, Folder};
use crate::support::{Router, Setup, backend, chat, policy};

const PATIENCE: Duration = Duration::from_secs(20);

/// A router with no backend that matters.
fn setup(authority: &Authority) -> Setup {
    let mut setup = Setup::new(policy(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 1).into()));
    setup.tls = Some(authority.tls(None));
    setup
}

/// A connection of somebody who trusts this authority and offers these versions of HTTP.
async fn connect(
    address: SocketAddr,
    trusted: &Authority,
    versions: &[&[u8]],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = versions.iter().map(|version| version.to_vec()).collect();
    let name = ServerName::from(address.ip());
    let stream = TcpStream::connect(address).await?;
    tokio::time::timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// One request on a connection of its own; the status line and all that follows.
async fn ask(router: &Router, trusted: &Authority, method_and_path: &str, body: &str) -> String {
    let mut stream = connect(router.address, trusted, &[b"http/1.1"]).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method_and_path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

/// Waits until the router has closed the connection.
async fn is_closed(mut socket: TcpStream) {
    let mut rest = Vec::new();
    // A reset ends it too.
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await.expect("the router closes");
}

#[tokio::test]
async fn a_chat_over_https() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let authority = Authority::new();
    let mut setup = Setup::new(policy(small.address(), large.address()));
    setup.tls = Some(authority.tls(None));
    let router = setup.start().await;
    let body = chat("Write a haiku").to_string();
    let answer = ask(&router, &authority, "POST /v1/chat/completions", &body).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("small says"), "{answer}");
    assert_eq!(router.kept.wait_for(1).await.len(), 1);
}

#[tokio::test]
async fn the_handshake_agrees_on_a_version() {
    let authority = Authority::new();
    let router = setup(&authority).start().await;
    let both: [&[u8]; 2] = [b"http/1.1", b"h2"];
    for (offered, agreed) in [(&both[..], Some(&b"h2"[..])), (&both[..1], Some(b"http/1.1")), (&[], None)] {
        let stream = connect(router.address, &authority, offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
    }
    assert!(connect(router.address, &authority, &[b"spdy/3"]).await.is_err());
    assert!(connect(router.address, &Authority::new(), &both).await.is_err());
}

#[tokio::test]
async fn plaintext_at_a_tls_port_is_closed_without_an_answer() {
    let authority = Authority::new();
    let router = setup(&authority).start().await;
    let mut socket = TcpStream::connect(router.address).await.unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nhost: r\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await.expect("the router closes");
    assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_time_for_a_head() {
    let authority = Authority::new();
    let mut setup = setup(&authority);
    setup.limits.head_timeout = Duration::from_millis(100);
    let router = setup.start().await;
    // The beginning of a ClientHello, and nothing of it.
    for start in [&[0x16, 0x03, 0x01, 0x01, 0x00][..], &[]] {
        let mut socket = TcpStream::connect(router.address).await.unwrap();
        socket.write_all(start).await.unwrap();
        is_closed(socket).await;
    }
    // One that has shaken hands and asks for nothing ends too.
    let mut silent = connect(router.address, &authority, &[b"http/1.1"]).await.unwrap();
    let _ =
        tokio::time::timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await.expect("the router closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_handshakes_and_plaintext_starve_nobody() {
    let authority = Authority::new();
    let mut setup = setup(&authority);
    setup.limits.connections = 8;
    let router = setup.start().await;
    for start in [&[0x16, 0x03, 0x01, 0x01, 0x00][..], b"GET /health HTTP/1.1\r\n", b""] {
        let mut flood = Vec::new();
        for _ in 0..100 {
            let mut socket = TcpStream::connect(router.address).await.unwrap();
            // One that was closed before it could write has made room already.
            let _ = socket.write_all(start).await;
            flood.push(socket);
        }
        let health = ask(&router, &authority, "GET /health", "").await;
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        drop(flood);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_connection() {
    let (before, after) = (Authority::new(), Authority::new());
    let setup = setup(&before);
    let tls = Arc::clone(setup.tls.as_ref().unwrap());
    let router = setup.start().await;
    let mut old = connect(router.address, &before, &[b"http/1.1"]).await.unwrap();
    let folder = Folder::of(&after.signs("127.0.0.1"), None);
    tls.replace(Certificates::read(&folder.files()).unwrap());
    assert!(connect(router.address, &before, &[b"http/1.1"]).await.is_err());
    assert!(ask(&router, &after, "GET /health", "").await.starts_with("HTTP/1.1 200"));
    old.write_all(b"GET /health HTTP/1.1\r\nhost: r\r\n\r\n").await.unwrap();
    let mut status = [0; 12];
    tokio::time::timeout(PATIENCE, old.read_exact(&mut status)).await.unwrap().unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[test]
fn files_that_cannot_be_used_are_named_and_not_quoted() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let leaf = authority.signs("127.0.0.1");
    let other = authority.signs("127.0.0.1");
    let middle = leaf.key.lines().nth(1).unwrap();
    let broken = format!("-----BEGIN PRIVATE KEY-----\n{middle}!\n-----END PRIVATE KEY-----\n");
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        ("certificate.pem", None, "certificate_file"),
        ("certificate.pem", Some(""), "certificate_file"),
        ("certificate.pem", Some(leaf.key.as_str()), "certificate_file"),
        ("certificate.pem", Some(certificate), "certificate_file"),
        ("key.pem", None, "key_file"),
        ("key.pem", Some("certainly not PEM"), "key_file"),
        ("key.pem", Some(leaf.certificate.as_str()), "key_file"),
        ("key.pem", Some(broken.as_str()), "key_file"),
        ("key.pem", Some(other.key.as_str()), "key_file"),
        ("clients.pem", None, "ca_file"),
        ("clients.pem", Some(leaf.key.as_str()), "ca_file"),
        ("clients.pem", Some(certificate), "ca_file"),
    ];
    for (name, text, setting) in cases {
        let folder = Folder::of(&leaf, Some(&clients));
        let path = folder.path(name);
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let Err(error) = Certificates::read(&folder.files()) else { panic!("{name} with {text:?} is taken") };
        let message = error.to_string();
        assert!(message.starts_with(&format!("{setting}: {}: ", path.display())), "{message}");
        for secret in [leaf.key.as_str(), other.key.as_str()].into_iter().flat_map(str::lines).skip(1) {
            assert!(!message.contains(secret) && !format!("{error:?}").contains(secret), "{message}");
        }
    }
}
