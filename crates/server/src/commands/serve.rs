//! `serve`: the router in front of real backends, until it is asked to end.

use std::sync::Arc;

use gateway::listener::Listener;
use settings::{Environment, Loaded, Origin, Winner, render};
use telemetry::AccessLines;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Failure, asked_to_end, load, runtime, source};
use crate::cli::Configuration;
use crate::compose::application::Application;
use crate::compose::{doors, exits};

mod reload;

pub(crate) fn run(configuration: &Configuration) -> Result<(), Failure> {
    let loaded = load(configuration)?;
    exits::start_logging(&loaded.settings).map_err(Failure::Configuration)?;
    log_start(&loaded);
    let source = source(configuration, &Environment::capture());
    let overrides = configuration.set.clone();
    runtime()?.block_on(async move {
        let application =
            Application::build(loaded, source, overrides, AccessLines::On).map_err(Failure::Configuration)?;
        let application = Arc::new(application);
        let _watcher = reload::watch(&application);
        let served = serve(&application, None, asked_to_end()).await;
        application.flush().await;
        served
    })
}

/// Opens the doors and serves until `end` is ready and what is in flight has ended or was given up. `http` is the HTTP
/// door's listener, where it is open already.
///
/// # Errors
///
/// When a listener that was asked for cannot be opened.
pub(crate) async fn serve(
    application: &Arc<Application>,
    http: Option<TcpListener>,
    end: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let settings = application.settings();
    let (closing, _) = watch::channel(());
    let mut tasks = tokio::task::JoinSet::new();
    let over = |door: &str, tcp| Listener { tcp, tls: application.certificates.of(door) };
    let http = match (http, &settings.listen.http) {
        (None, Some(setting)) => Some(doors::bind("http", setting.address).await.map_err(Failure::Running)?),
        (open, _) => open,
    };
    if let Some(listener) = http {
        let door = Arc::new(doors::http(application, &settings).map_err(Failure::Running)?);
        tasks.spawn(gateway::http::serve(over("http", listener), door, closed(&closing)));
    }
    if let Some(setting) = &settings.listen.extproc
        && let Some(listener) =
            doors::bind_optional("extproc", Some(&setting.listener)).await.map_err(Failure::Running)?
    {
        let door = Arc::new(doors::extproc(application, &settings, setting));
        tasks.spawn(doors::serve_extproc(over("extproc", listener), door, closed(&closing)));
    }
    let metrics = settings.listen.metrics.as_ref().filter(|_| settings.observability.metrics.enabled);
    if let Some(listener) = doors::bind_optional("metrics", metrics).await.map_err(Failure::Running)? {
        tasks.spawn(doors::serve_metrics(over("metrics", listener), application, closed(&closing)));
    }
    if let Some(admin) = &settings.listen.admin
        && let Some(listener) =
            doors::bind_optional("admin", Some(&admin.listener)).await.map_err(Failure::Running)?
    {
        tasks.spawn(doors::serve_admin(over("admin", listener), application, admin, closed(&closing)));
    }
    end.await;
    let again = asked_to_end();
    tracing::info!(
        in_flight = application.in_flight.count(),
        "ending: no new requests, waiting for those in flight"
    );
    drop(closing);
    tokio::select! {
        () = async { while tasks.join_next().await.is_some() {} } => {}
        // Asked a second time: at once.
        () = again => tracing::warn!("asked a second time: ending at once"),
    }
    Ok(())
}

/// Ready when the sender is dropped: the doors close.
fn closed(closing: &watch::Sender<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut receiver = closing.subscribe();
    async move { while receiver.changed().await.is_ok() {} }
}

fn log_start(loaded: &Loaded) {
    let Loaded { origin, version, settings, .. } = loaded;
    tracing::info!(configuration = origin, version, models = settings.models.len(), "semantic-router starts");
    for Origin { setting, winner } in &loaded.origins {
        match winner {
            Winner::Variable(name) => {
                tracing::info!(setting, variable = name, "setting decided by the environment");
            }
            Winner::File | Winner::Default => tracing::debug!(setting, from = %winner, "setting decided"),
        }
    }
    if !loaded.warnings.is_empty() {
        tracing::warn!("the configuration is valid, but:\n{}", render(&loaded.warnings));
    }
}
