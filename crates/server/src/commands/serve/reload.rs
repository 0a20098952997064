//! Hot reload: when the file changes, when a link to it is swapped, and on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::compose::application::{Application, folder_of};

/// Editors and mounts change a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(100);

/// Who never stops writing is read in between.
const PATIENCE: Duration = Duration::from_secs(1);

/// Watches the configuration's folder and SIGHUP. The watcher works while it is kept.
pub(super) fn watch(application: &Arc<Application>) -> Option<RecommendedWatcher> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(reload_on(Arc::clone(application), receiver));
    #[cfg(unix)]
    tokio::spawn(on_hangup(Arc::clone(application)));
    let file = application.file()?;
    // The folder, not the file: a Kubernetes ConfigMap swaps a link beside it, and editors replace the file.
    let folder = folder_of(&file);
    let wanted = file.file_name().map(std::ffi::OsStr::to_owned);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = |path: &PathBuf| {
            let name = path.file_name();
            // `..data` is the link that Kubernetes swaps.
            name == wanted.as_deref() || name.is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
        };
        let changed = event.map_or(true, |event| {
            !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(concerns))
        });
        if changed {
            // A full channel means that a reload is due already.
            let _ = sender.try_send(());
        }
    });
    let watched = watcher.and_then(|mut watcher| {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watched {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), "changes of the configuration are not noticed: {error}; send SIGHUP after a change");
            None
        }
    }
}

async fn reload_on(application: Arc<Application>, mut changes: mpsc::Receiver<()>) {
    while changes.recv().await.is_some() {
        // Wait until it has been quiet for a moment, but not for ever.
        let quiet = async { while let Ok(Some(())) = tokio::time::timeout(SETTLE, changes.recv()).await {} };
        let _ = tokio::time::timeout(PATIENCE, quiet).await;
        reload(&application, "file changed").await;
    }
}

#[cfg(unix)]
async fn on_hangup(application: Arc<Application>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
    while hangups.recv().await.is_some() {
        reload(&application, "SIGHUP").await;
    }
}

/// Reading a file and compiling patterns is not for the threads that serve.
async fn reload(application: &Arc<Application>, why: &'static str) {
    let application = Arc::clone(application);
    let reloaded = tokio::task::spawn_blocking(move || application.reload_and_log(why)).await;
    if reloaded.is_err() {
        tracing::error!(
            why,
            "the reload panicked; the old configuration stays in force. This is a bug of the router"
        );
    }
}
