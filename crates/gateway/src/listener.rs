//! A bound listener of a door, with TLS or without.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::tls::Tls;

/// A bound listener.
pub struct Listener {
    /// Where connections come from.
    pub tcp: TcpListener,
    /// How they are encrypted; `None` is not at all.
    pub tls: Option<Arc<Tls>>,
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Listener {
        Listener { tcp, tls: None }
    }
}
