//! TLS of a listener: its certificate, whose client certificates it asks for, and their exchange while it is open.
//!
//! Invariant: what cannot be used is refused before it replaces anything; nothing of a key is ever in a message.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Versions of HTTP that a handshake offers, the preferred one first.
const VERSIONS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of a listener's certificates, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authorities that sign clients' certificates; `None` asks clients for none.
    pub client_authorities: Option<PathBuf>,
}

/// Certificates that were read and fit together.
#[derive(Clone)]
pub struct Certificates(Arc<ServerConfig>);

/// TLS of one listener. Connections keep what they began with when the certificates change.
pub struct Tls(ArcSwap<ServerConfig>);

/// Why certificates cannot be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate's file.
    #[error("certificate_file: {path}: {reason}", path = .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key's file.
    #[error("key_file: {path}: {reason}", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; nothing of its content.
        reason: String,
    },
    /// The file of the clients' authorities.
    #[error("ca_file: {path}: {reason}", path = .path.display())]
    ClientAuthorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("certificate_file: TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file cannot be read or holds something else, or the key is that of another certificate.
    pub fn read(files: &TlsFiles) -> Result<Certificates, TlsError> {
        let of_certificate =
            |reason: String| TlsError::Certificate { path: files.certificate.clone(), reason };
        let of_key = |reason: String| TlsError::Key { path: files.key.clone(), reason };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &files.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let unusable = |reason| TlsError::ClientAuthorities { path: path.clone(), reason };
                let roots = Arc::new(authorities(path).map_err(unusable)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| unusable(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = certificates(&files.certificate).map_err(of_certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
            of_key(match error {
                pem::Error::NoItemsFound => {
                    "it holds no private key (PKCS#8, PKCS#1 or SEC1 in PEM, not encrypted)".to_owned()
                }
                error => unreadable(&error),
            })
        })?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                of_key(format!("it is not the key of the certificate in {}", files.certificate.display()))
            }
            error @ rustls::Error::InvalidCertificate(_) => of_certificate(error.to_string()),
            _ => of_key("its key is of a kind that cannot be used".to_owned()),
        })?;
        config.alpn_protocols = VERSIONS.map(<[u8]>::to_vec).to_vec();
        Ok(Certificates(Arc::new(config)))
    }
}

impl Tls {
    /// TLS with these certificates.
    #[must_use]
    pub fn new(certificates: Certificates) -> Tls {
        Tls(ArcSwap::new(certificates.0))
    }

    /// Shows other certificates from the next connection on.
    pub fn replace(&self, certificates: Certificates) {
        self.0.store(certificates.0);
    }

    /// What shakes hands with the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |error: pem::Error| unreadable(&error);
    let found = CertificateDer::pem_file_iter(path).map_err(read)?;
    let certificates = found.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(certificates)
}

/// What is wrong, without a word of what the file holds: it may be a key that was named by mistake.
fn unreadable(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => "it is not PEM".to_owned(),
        pem::Error::Io(error) => format!("it cannot be read: {error}"),
        _ => "it is not whole PEM".to_owned(),
    }
}
