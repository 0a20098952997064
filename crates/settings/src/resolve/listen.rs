//! Where the router listens, and that nobody is let in by accident.

use std::time::Duration;

use super::net;
use crate::check::access::AccessMode;
use crate::check::listen::{Admin, ExtProc, Listen, Listener, OnUnroutable};
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
    let envoy = extproc.map(|extproc| extproc.listener);
    for (listener, name) in [(http, "http"), (metrics, "metrics"), (admin, "admin"), (envoy, "extproc")] {
        guard(listener, name, mode, report);
    }
    if admin.is_some_and(|admin| !admin.address.ip().is_loopback()) && token.is_none() {
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
fn guard(listener: Option<Listener>, name: &str, mode: AccessMode, report: &mut Report) {
    let Some(listener) = listener else { return };
    if listener.address.ip().is_loopback() || mode != AccessMode::Loopback {
        return;
    }
    let message = format!(
        "{} can be reached from other machines, and nobody is asked for a key: add `access.keys`, write `access: open` to \
         let everybody in, or listen on 127.0.0.1",
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
    let (written, token) = match raw {
        Some(ref off) if is_off(off) => return (None, None),
        None | Some(raw::Listener::Switch(_)) => (None, None),
        Some(raw::Listener::Address(text)) => (Some(text), None),
        Some(raw::Listener::Block(block)) => {
            if block.tls.is_some() {
                report.error(
                    &format!("{path}.tls"),
                    "TLS on listeners is not available in this version; put a proxy in front",
                );
            }
            (block.address, block.token.filter(|token| !token.reveal().is_empty()))
        }
    };
    if token.is_some() && name != "admin" {
        report.error(&format!("{path}.token"), "only the admin API has a token; callers have `access.keys`");
    }
    let explicit = written.is_some();
    match net::socket(written.as_deref().unwrap_or(default)) {
        Ok(address) => (Some(Listener { address, explicit }), token),
        Err(message) => {
            report.error(&path, message);
            (None, token)
        }
    }
}
