//! Certificates of the listeners: read at the start, and again at each reload, so that a renewed one needs no restart.

use std::sync::Arc;

use gateway::tls::{Certificates, Tls, TlsFiles};
use settings::check::listen::{Listen, ServerTls};

/// TLS of each listener that has it.
pub(crate) struct DoorCertificates(Vec<Door>);

struct Door {
    name: &'static str,
    setting: ServerTls,
    tls: Arc<Tls>,
}

/// Certificates that were read and are not shown yet.
pub(crate) struct Renewed(Vec<(Arc<Tls>, Certificates)>);

impl DoorCertificates {
    /// Reads all files.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting and the file.
    pub(crate) fn read(listen: &Listen) -> Result<DoorCertificates, String> {
        let read = |(name, setting): (&'static str, &ServerTls)| {
            let tls = Arc::new(Tls::new(certificates(name, setting)?));
            Ok(Door { name, setting: setting.clone(), tls })
        };
        encrypted(listen).map(read).collect::<Result<_, _>>().map(DoorCertificates)
    }

    /// TLS of a listener; `None` is a listener without.
    pub(crate) fn of(&self, name: &str) -> Option<Arc<Tls>> {
        self.0.iter().find(|door| door.name == name).map(|door| Arc::clone(&door.tls))
    }

    /// Reads the files again. Files that other settings name are only looked at: a listener changes with a restart.
    ///
    /// # Errors
    ///
    /// As [`DoorCertificates::read`].
    pub(crate) fn read_again(&self, listen: &Listen) -> Result<Renewed, String> {
        let mut renewed = Vec::new();
        for (name, setting) in encrypted(listen) {
            let certificates = certificates(name, setting)?;
            if let Some(door) = self.0.iter().find(|door| door.name == name && door.setting == *setting) {
                renewed.push((Arc::clone(&door.tls), certificates));
            }
        }
        Ok(Renewed(renewed))
    }
}

impl Renewed {
    /// Shows them from the next connections on.
    pub(crate) fn show(self) {
        for (tls, certificates) in self.0 {
            tls.replace(certificates);
        }
    }
}

fn certificates(door: &str, setting: &ServerTls) -> Result<Certificates, String> {
    let ServerTls { certificate_file, key_file, client_authorities_file } = setting;
    let files = TlsFiles {
        certificate: certificate_file.clone(),
        key: key_file.clone(),
        client_authorities: client_authorities_file.clone(),
    };
    Certificates::read(&files).map_err(|error| format!("listen.{door}.tls.{error}"))
}

fn encrypted(listen: &Listen) -> impl Iterator<Item = (&'static str, &ServerTls)> {
    let extproc = listen.extproc.as_ref().map(|extproc| &extproc.listener);
    let admin = listen.admin.as_ref().map(|admin| &admin.listener);
    let doors = [
        ("http", listen.http.as_ref()),
        ("extproc", extproc),
        ("metrics", listen.metrics.as_ref()),
        ("admin", admin),
    ];
    doors.into_iter().filter_map(|(name, listener)| Some((name, listener?.tls.as_ref()?)))
}
