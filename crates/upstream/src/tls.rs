//! Whom we trust over TLS: the system's root certificates, and the operator's own.
//!
//! The system's and not a compiled-in list, because backends stand in companies' networks: a certificate authority that
//! the machine trusts is trusted here too, `SSL_CERT_FILE` and `SSL_CERT_DIR` work, and updates need no new build.
//!
//! A machine without any root certificate is not an error: it may have no endpoint over TLS. If it has one, the call
//! fails and says that the issuer is unknown.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::ClientError;

/// The client's side of TLS, by rustls with ring.
///
/// # Errors
///
/// `extra_roots` cannot be read or holds no certificate.
pub(crate) fn client_config(extra_roots: Option<&Path>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    // Files that cannot be read and certificates that cannot be parsed are left out, as every client does.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra_roots {
        add_file(&mut roots, path)
            .map_err(|reason| ClientError::ExtraRoots { path: path.to_owned(), reason })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        found = true;
    }
    if found { Ok(()) } else { Err("it holds no certificate".to_owned()) }
}
