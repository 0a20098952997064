//! The doors: what each needs of the application, and the listeners that they open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use gateway::access::{Access, ApiKey, KeyUse, Network};
use gateway::admin::AdminDoor;
use gateway::extproc::{ExtProcDoor, Names, OnUnroutable};
use gateway::http::{HttpDoor, Service};
use gateway::limits::Limits;
use gateway::listener::Listener;
use gateway::metrics::{MetricsFormat, RenderMetrics};
use settings::Settings;
use settings::check::access::AccessMode;
use settings::check::listen::{Admin, ExtProc, Listener as ListenerSetting};
use telemetry::metrics::Format;
use tokio::net::TcpListener;
use trace::RecordSink;
use upstream::{Client, ClientConfig};

use super::application::Application;
use super::operations::ForOperators;

/// Who may call.
pub(crate) fn access(settings: &Settings) -> Access {
    let access = &settings.access;
    let name = |index: &settings::check::models::ModelIndex| {
        settings.models.get(index.0).map(|model| Arc::from(model.name.as_str()))
    };
    Access {
        keys: access
            .keys
            .iter()
            .map(|key| ApiKey {
                name: Arc::from(key.name.as_str()),
                sha256: key.sha256,
                allowed_models: key.models.as_ref().map(|models| models.iter().filter_map(name).collect()),
            })
            .collect(),
        key_use: match access.mode {
            AccessMode::Keys => KeyUse::Required,
            AccessMode::Loopback | AccessMode::Open => KeyUse::Optional,
        },
        trusted_peers: access
            .trusted_peers
            .iter()
            .map(|network| Network { address: network.address, prefix: network.prefix })
            .collect(),
        user_header: Arc::from(settings.observability.tracing.attributes.user_id_header.as_str()),
        session_header: Arc::from(settings.observability.tracing.attributes.session_id_header.as_str()),
    }
}

/// The HTTP door, with the client that calls backends for it.
///
/// # Errors
///
/// A sentence, when TLS cannot be set up.
pub(crate) fn http(application: &Application, settings: &Settings) -> Result<HttpDoor, String> {
    let pool = Arc::clone(&application.resources.pool);
    Ok(HttpDoor {
        pipeline: Arc::clone(&application.pipeline),
        client: Client::new(ClientConfig::default()).map_err(|error| error.to_string())?,
        sink: Arc::clone(&application.exits) as Arc<dyn RecordSink>,
        tracing: Arc::clone(&application.tracing),
        access: Arc::clone(&application.access),
        limits: limits(settings),
        in_flight: Arc::clone(&application.in_flight),
        ready: Arc::new(move || {
            if pool.has_live_endpoint() {
                return Ok(());
            }
            Err("no endpoint of any model is alive, or none is configured".to_owned())
        }),
        service: Service {
            name: Arc::from(settings.observability.tracing.resource.service_name.as_str()),
            version: env!("CARGO_PKG_VERSION"),
            started: SystemTime::now(),
        },
    })
}

/// Envoy's door.
pub(crate) fn extproc(application: &Application, settings: &Settings, extproc: &ExtProc) -> ExtProcDoor {
    ExtProcDoor {
        pipeline: Arc::clone(&application.pipeline),
        sink: Arc::clone(&application.exits) as Arc<dyn RecordSink>,
        tracing: Arc::clone(&application.tracing),
        access: Arc::clone(&application.access),
        limits: limits(settings),
        in_flight: Arc::clone(&application.in_flight),
        decision_timeout: extproc.decision_timeout,
        on_unroutable: match extproc.on_unroutable {
            settings::check::listen::OnUnroutable::Pass => OnUnroutable::Pass,
            settings::check::listen::OnUnroutable::Refuse => OnUnroutable::Refuse,
        },
        names: Names::default(),
    }
}

/// What clients may send.
fn limits(settings: &Settings) -> Limits {
    let limits = &settings.access.limits;
    Limits {
        body_bytes: limits.body_bytes,
        header_bytes: limits.header_bytes,
        headers: limits.headers,
        messages: limits.messages,
        read_timeout: limits.read_timeout,
        head_timeout: limits.read_timeout,
        connections: limits.connections,
        drain: settings.drain,
    }
}

/// Opens a listener, and says so in the log.
///
/// # Errors
///
/// A sentence that names the address and what to do.
pub(crate) async fn bind(door: &'static str, address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("something else listens there; set listen.{door} to another port")
            }
            std::io::ErrorKind::PermissionDenied => {
                format!("this user may not listen there; set listen.{door} to a port above 1023")
            }
            _ => format!("set listen.{door} to an address of this machine"),
        };
        format!("the {door} listener cannot open {address}: {error}; {advice}")
    })?;
    let bound = listener.local_addr().unwrap_or(address);
    tracing::info!(door, address = %bound, "listening");
    Ok(listener)
}

/// Opens a listener that the program can do without: a port that nobody asked for may be taken.
///
/// # Errors
///
/// As [`bind`], if the address was written in the configuration.
pub(crate) async fn bind_optional(
    door: &'static str,
    listener: Option<&ListenerSetting>,
) -> Result<Option<TcpListener>, String> {
    let Some(listener) = listener else { return Ok(None) };
    match bind(door, listener.address).await {
        Ok(bound) => Ok(Some(bound)),
        Err(message) if listener.explicit => Err(message),
        Err(message) => {
            tracing::warn!("{message} (it was not asked for, so the router starts without it)");
            Ok(None)
        }
    }
}

/// Serves the metrics.
pub(crate) fn serve_metrics(
    listener: Listener,
    application: &Application,
    closed: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let metrics = Arc::clone(&application.metrics);
    let render: RenderMetrics = Arc::new(move |format| {
        metrics.render(match format {
            MetricsFormat::Prometheus => Format::Text,
            MetricsFormat::OpenMetrics => Format::OpenMetrics,
        })
    });
    gateway::metrics::serve_metrics(listener, render, closed)
}

/// Serves the admin API.
pub(crate) fn serve_admin(
    listener: Listener,
    application: &Arc<Application>,
    admin: &Admin,
    closed: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let mut hosts = AdminDoor::local_hosts();
    hosts.push(admin.listener.address.ip().to_string());
    let door = AdminDoor {
        token_sha256: admin.token.as_ref().map(|token| AdminDoor::hash(token.reveal())),
        hosts,
        in_flight: Arc::clone(&application.in_flight),
        tracing: Arc::clone(&application.tracing),
        operations: Arc::new(ForOperators(Arc::clone(application))),
    };
    gateway::admin::serve_admin(listener, Arc::new(door), closed)
}

/// Serves Envoy.
pub(crate) async fn serve_extproc(
    listener: Listener,
    door: Arc<ExtProcDoor>,
    closed: impl Future<Output = ()> + Send + 'static,
) {
    if let Err(message) = gateway::extproc::serve(listener, door, closed).await {
        tracing::error!("the extproc listener is closed: {message}");
    }
}
