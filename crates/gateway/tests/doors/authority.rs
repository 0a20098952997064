//! An authority of certificates, and what it signs, as files.

use std::path::PathBuf;
use std::sync::Arc;

use gateway::tls::{Certificates, Tls, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, as PEM.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The files of a listener.
pub(crate) struct Folder {
    folder: TempDir,
    clients: bool,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    pub(crate) fn signs(&self, name: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// TLS of a listener on this machine; with `clients`, only for those whom that authority knows.
    pub(crate) fn tls(&self, clients: Option<&Authority>) -> Arc<Tls> {
        let folder = Folder::of(&self.signs("127.0.0.1"), clients);
        Arc::new(Tls::new(Certificates::read(&folder.files()).unwrap()))
    }
}

impl Folder {
    pub(crate) fn of(leaf: &Leaf, clients: Option<&Authority>) -> Folder {
        let folder = Folder { folder: tempfile::tempdir().unwrap(), clients: clients.is_some() };
        std::fs::write(folder.path("certificate.pem"), &leaf.certificate).unwrap();
        std::fs::write(folder.path("key.pem"), &leaf.key).unwrap();
        if let Some(clients) = clients {
            std::fs::write(folder.path("clients.pem"), clients.pem()).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.path("certificate.pem"),
            key: self.path("key.pem"),
            client_authorities: self.clients.then(|| self.path("clients.pem")),
        }
    }
}
