//! The running program: what its doors share, and what a reload swaps.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway::access::Access;
use gateway::in_flight::InFlight;
use gateway::tracing_policy::TracingPolicy;
use pipeline::Pipeline;
use settings::check::access::AccessMode;
use settings::{Environment, Loaded, Settings, Source};
use telemetry::metrics::Metrics;
use telemetry::{AccessLines, Exits};

use super::certificates::DoorCertificates;
use super::{Resources, doors, exits, policy};

/// How long undelivered traces are waited for at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// What the doors of one process share.
pub(crate) struct Application {
    /// The policy in force; a request keeps the one that it began with.
    pub(crate) pipeline: Arc<ArcSwap<Pipeline>>,
    /// How traces begin.
    pub(crate) tracing: Arc<ArcSwap<TracingPolicy>>,
    /// Who may call.
    pub(crate) access: Arc<ArcSwap<Access>>,
    /// What the doors show to who connects over TLS.
    pub(crate) certificates: DoorCertificates,
    /// What outlives a reload.
    pub(crate) resources: Resources,
    /// Where records go.
    pub(crate) exits: Arc<Exits>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// What is under way.
    pub(crate) in_flight: Arc<InFlight>,
    origin: Origin,
    /// What cannot change without a restart is as it was here.
    started_with: Settings,
    settings: Mutex<Settings>,
}

/// Where the settings came from, to read them again.
struct Origin {
    source: Source,
    overrides: Vec<String>,
    environment: Environment,
}

impl Application {
    /// Builds everything but the listeners.
    ///
    /// # Errors
    ///
    /// A sentence, when an exporter cannot be set up or a certificate cannot be used.
    pub(crate) fn build(
        loaded: Loaded,
        source: Source,
        overrides: Vec<String>,
        access_lines: AccessLines,
    ) -> Result<Application, String> {
        let Loaded { settings, version, .. } = loaded;
        let certificates = DoorCertificates::read(&settings.listen)?;
        let resources = Resources::new(&settings);
        let policy = policy::build(&settings, &version)?;
        let metrics = exits::metrics(&settings, &policy);
        let exits = exits::start(&settings, Arc::clone(&metrics), access_lines)?;
        Ok(Application {
            pipeline: Arc::new(ArcSwap::from_pointee(super::pipeline(policy, &resources))),
            tracing: Arc::new(ArcSwap::from_pointee(exits::tracing_policy(&settings))),
            access: Arc::new(ArcSwap::from_pointee(doors::access(&settings))),
            certificates,
            resources,
            exits: Arc::new(exits),
            metrics,
            in_flight: InFlight::new(settings.access.limits.in_flight),
            origin: Origin { source, overrides, environment: Environment::capture() },
            started_with: settings.clone(),
            settings: Mutex::new(settings),
        })
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file to watch; `None` without one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.origin.source {
            Source::File(path) => Some(path.clone()),
            Source::Text { .. } | Source::Defaults => None,
        }
    }

    /// Reads the settings and the certificates again and swaps what can be swapped. A bad file changes nothing.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file, as `validate` would say it, or a certificate that cannot be used.
    pub(crate) fn reload(&self) -> Result<Reloaded, String> {
        // Held until the end: two reloads at once would leave a mixture, or the older of two files in force.
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let Origin { source, overrides, environment } = &self.origin;
        let loaded = settings::load(source.clone(), overrides, environment)
            .map_err(|problems| problems.to_string())?;
        let policy = policy::build(&loaded.settings, &loaded.version)?;
        self.refuse_danger(&loaded)?;
        self.certificates.read_again(&loaded.settings.listen)?.show();
        if *self.pipeline.load().policy.version == *loaded.version {
            return Ok(Reloaded::Unchanged);
        }
        exits::learn(&self.metrics, &policy);
        self.resources.pool.configure(super::balance(&loaded.settings));
        self.access.store(Arc::new(doors::access(&loaded.settings)));
        let tracing = exits::tracing_policy(&loaded.settings);
        if tracing != exits::tracing_policy(&settings) {
            self.tracing.store(Arc::new(tracing));
        }
        self.pipeline.store(Arc::new(super::pipeline(policy, &self.resources)));
        let needs_restart = needs_restart(&self.started_with, &loaded.settings);
        *settings = loaded.settings;
        Ok(Reloaded::Swapped { version: loaded.version, needs_restart })
    }

    /// A file that is half written may well be valid: an empty one is. What it would do to a running router is refused.
    fn refuse_danger(&self, loaded: &Loaded) -> Result<(), String> {
        let new = &loaded.settings;
        let listen = &self.started_with.listen;
        let bound = [listen.http.as_ref(), listen.extproc.as_ref().map(|extproc| &extproc.listener)];
        let wide = bound
            .into_iter()
            .flatten()
            .find(|listener| listener.is_open_to_strangers())
            .map(|listener| listener.address);
        if let (Some(address), AccessMode::Loopback) = (wide, new.access.mode) {
            return Err(format!(
                "{}: it asks nobody for a key, and the router listens on {address}, which other machines can reach; \
                 keep `access`, or restart with a listener on loopback",
                loaded.origin
            ));
        }
        let serves = !self.pipeline.load().policy.models.is_empty();
        let from_file = matches!(self.origin.source, Source::File(_));
        if serves && from_file && (new.models.is_empty() || loaded.is_blank) {
            return Err(format!(
                "{}: it has no models, and the router has; if this is meant, restart it",
                loaded.origin
            ));
        }
        Ok(())
    }

    /// Reloads and logs what came of it.
    pub(crate) fn reload_and_log(&self, why: &'static str) {
        match self.reload() {
            Ok(Reloaded::Unchanged) => tracing::debug!(why, "configuration read again: nothing has changed"),
            Ok(Reloaded::Swapped { version, needs_restart }) => {
                tracing::info!(why, version, "configuration reloaded");
                for key in needs_restart {
                    tracing::warn!(key, "this change takes effect only after a restart");
                }
            }
            Err(problems) => {
                tracing::error!(why, "configuration not reloaded, the old one stays in force: {problems}");
            }
        }
    }

    /// Delivers what is still queued, for a bounded time.
    pub(crate) async fn flush(&self) {
        self.exits.shutdown(FLUSH).await;
    }
}

/// What a reload did.
pub(crate) enum Reloaded {
    /// The file says what it said before.
    Unchanged,
    /// The new policy is in force.
    Swapped {
        /// Hash of the new configuration.
        version: String,
        /// Keys whose change cannot take effect in a running process.
        needs_restart: Vec<&'static str>,
    },
}

/// Whether a path names the same file as before is for the system to say; this is what to watch: its folder, since a
/// mounted configuration is swapped by a link beside it.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let bounds = |settings: &Settings| (settings.cache.max_entries, settings.cache.max_bytes);
    let tracing = |settings: &Settings| {
        let tracing = &settings.observability.tracing;
        (tracing.enabled, tracing.destinations.clone(), tracing.resource.clone(), tracing.limits)
    };
    let changed = [
        ("listen", old.listen != new.listen),
        ("access.limits", old.access.limits != new.access.limits),
        ("cache.max_entries or cache.max_bytes", bounds(old) != bounds(new)),
        ("observability.tracing.exporter, resource or limits", tracing(old) != tracing(new)),
        ("observability.logs", old.observability.logs != new.observability.logs),
        ("observability.metrics", old.observability.metrics != new.observability.metrics),
        ("shutdown", old.drain != new.drain),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
