//! Where the router listens, and that nobody is let in by accident.

use std::path::PathBuf;
use std::time::Duration;

use super::net;
use crate::check::access::AccessMode;
use crate::check::listen::{Admin, ExtProc, Listen, Listener, OnUnroutable, ServerTls};
use crate::defaults;
use crate::raw::access as raw;
use crate::report::Report;
use crate::secret::Secret;

pub(super) fn resolve(raw: raw::Listen, mode: AccessMode, report: &mut Report) -> Listen {
    let (http, _) = listener(raw.http, "http", defaults::HTTP_ADDRESS, report);
    let (metrics, _) = listener(raw.metrics, "metrics", defaults::METRICS_ADDRESS, report);
    let (admin, token) = listener(raw.admin, "admin", defaults::ADMIN_ADDRESS, report);
    let extproc = extproc(raw.extproc, report);
    if http.is_none() && extproc.is_none() && report.is_clean() {
        report.warn("listen.http", "the HTTP door and ExtProc are off, so there is no way in for requests");
    }
    let envoy = extproc.as_ref().map(|extproc| &extproc.listener);
    let listeners = [
        (http.as_ref(), "http"),
        (metrics.as_ref(), "metrics"),
        (admin.as_ref(), "admin"),
        (envoy, "extproc"),
    ];
    for (listener, name) in listeners {
        guard(listener, name, mode, report);
    }
    if admin.as_ref().is_some_and(|admin| !admin.address.ip().is_loopback()) && token.is_none() {
        let message =
            "the admin API can change the router: off loopback it needs a token (`admin: {address, token}`)";
        report.error("listen.admin", message);
    }
    Listen { http, metrics, admin: admin.map(|listener| Admin { listener, token }), extproc }
}

fn extproc(raw: Option<raw::ExtProcListener>, report: &mut Report) -> Option<ExtProc> {
    let mut block = raw::ExtProcBlock::default();
    let address = match raw {
        None => None,
        Some(raw::ExtProcListener::Switch(on)) => Some(raw::Listener::Switch(on)),
        Some(raw::ExtProcListener::Address(text)) => Some(raw::Listener::Address(text)),
        Some(raw::ExtProcListener::Block(written)) => {
            block = written;
            let (address, tls) = (block.address.take(), block.tls.take());
            Some(raw::Listener::Block(raw::ListenerBlock { address, tls, token: None }))
        }
    };
    let (listener, _) = listener(address, "extproc", defaults::EXTPROC_ADDRESS, report);
    listener.map(|listener| ExtProc {
        listener,
        decision_timeout: Duration::from_millis(
            block.decision_timeout_ms.unwrap_or(defaults::DECISION_TIMEOUT_MS),
        ),
        on_unroutable: match block.on_unroutable {
            Some(raw::OnUnroutable::Pass) => OnUnroutable::Pass,
            Some(raw::OnUnroutable::Refuse) | None => OnUnroutable::Refuse,
        },
    })
}

/// Refuses a listener that strangers could reach without anybody having decided so.
fn guard(listener: Option<&Listener>, name: &str, mode: AccessMode, report: &mut Report) {
    let Some(listener) = listener else { return };
    if !listener.is_open_to_strangers() || mode != AccessMode::Loopback {
        return;
    }
    let message = format!(
        "{} can be reached from other machines, and nobody is asked for a key: add `access.keys`, write `access: open` to \
         let everybody in, ask for client certificates (`tls.ca_file`), or listen on 127.0.0.1",
        listener.address
    );
    report.error(&format!("listen.{name}"), message);
}

fn is_off(raw: &raw::Listener) -> bool {
    match raw {
        raw::Listener::Switch(on) => !on,
        raw::Listener::Address(text) => matches!(text.trim(), "off" | "no" | "false" | "none" | ""),
        raw::Listener::Block(_) => false,
    }
}

fn listener(
    raw: Option<raw::Listener>,
    name: &str,
    default: &str,
    report: &mut Report,
) -> (Option<Listener>, Option<Secret>) {
    let path = format!("listen.{name}");
    let (written, token, tls) = match raw {
        Some(ref off) if is_off(off) => return (None, None),
        None | Some(raw::Listener::Switch(_)) => (None, None, None),
        Some(raw::Listener::Address(text)) => (Some(text), None, None),
        Some(raw::Listener::Block(block)) => {
            let token = block.token.filter(|token| !token.reveal().is_empty());
            (block.address, token, block.tls.and_then(|tls| certificates(tls, &path, report)))
        }
    };
    if token.is_some() && name != "admin" {
        report.error(&format!("{path}.token"), "only the admin API has a token; callers have `access.keys`");
    }
    let explicit = written.is_some();
    match net::socket(written.as_deref().unwrap_or(default)) {
        Ok(address) => (Some(Listener { address, explicit, tls }), token),
        Err(message) => {
            report.error(&path, message);
            (None, token)
        }
    }
}

/// The files by name; what is in them is seen when the listener is opened. A missing name is reported by the shape.
fn certificates(raw: raw::ListenerTls, path: &str, report: &mut Report) -> Option<ServerTls> {
    let mut file = |key: &str, written: Option<String>| {
        let written = written?;
        if written.trim().is_empty() {
            report.error(&format!("{path}.tls.{key}"), "empty: expected the path of a file");
        }
        Some(PathBuf::from(written))
    };
    let certificate = file("certificate_file", raw.certificate_file);
    let key = file("key_file", raw.key_file);
    let client_authorities_file = file("ca_file", raw.ca_file);
    Some(ServerTls { certificate_file: certificate?, key_file: key?, client_authorities_file })
}
