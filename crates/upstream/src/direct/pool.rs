//! Idle connections, and their keeper: a task that closes those that the backend closed or that nobody has used for
//! long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::Connection;

/// The pool of one client.
pub(super) struct Pool {
    max_idle_per_host: usize,
    idle_timeout: Duration,
    idle: Mutex<ByOrigin>,
    bell: Arc<Bell>,
    has_keeper: AtomicBool,
}

/// The most recently used last.
type ByOrigin = HashMap<Arc<str>, Vec<Idle>>;

struct Idle {
    connection: Connection,
    since: Instant,
}

/// Rung by the sockets of idle connections: something has happened to one.
#[derive(Default)]
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl Pool {
    pub(super) fn new(max_idle_per_host: usize, idle_timeout: Duration) -> Arc<Pool> {
        Arc::new(Pool {
            max_idle_per_host,
            idle_timeout,
            idle: Mutex::default(),
            bell: Arc::default(),
            has_keeper: AtomicBool::new(false),
        })
    }

    /// An open connection to this origin, the most recently used one.
    pub(super) fn take(&self, origin: &Arc<str>) -> Option<Connection> {
        let mut idle = self.lock();
        let connections = idle.get_mut(origin)?;
        while let Some(Idle { mut connection, since }) = connections.pop() {
            // What the backend sent meanwhile, its goodbye above all, is read now.
            connection.drive(&mut Context::from_waker(Waker::noop()));
            if connection.is_idle() && since.elapsed() < self.idle_timeout {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose call has ended, if it is fit for another one.
    pub(super) fn put(self: &Arc<Self>, origin: Arc<str>, mut connection: Connection) {
        let waker = Waker::from(Arc::clone(&self.bell));
        connection.drive(&mut Context::from_waker(&waker));
        if !connection.is_idle() || !self.is_kept() {
            return;
        }
        let mut idle = self.lock();
        let connections = idle.entry(origin).or_default();
        if connections.len() < self.max_idle_per_host {
            connections.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Starts the keeper with the first connection. False where no task can be started: nothing is kept then.
    fn is_kept(self: &Arc<Self>) -> bool {
        if self.has_keeper.load(Ordering::Relaxed) {
            return true;
        }
        let Ok(runtime) = Handle::try_current() else { return false };
        if !self.has_keeper.swap(true, Ordering::Relaxed) {
            runtime.spawn(keep(Arc::downgrade(self), Arc::clone(&self.bell), self.idle_timeout));
        }
        true
    }

    /// Closes what is closed on the other side, and what has not been used for long.
    fn sweep(&self) {
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut context = Context::from_waker(&waker);
        self.lock().retain(|_, connections| {
            connections.retain_mut(|Idle { connection, since }| {
                connection.drive(&mut context);
                connection.is_idle() && since.elapsed() < self.idle_timeout
            });
            !connections.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, ByOrigin> {
        // Whatever panicked, the connections that are left are whole.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Lets the keeper see that there is nothing left to keep.
        self.bell.0.notify_one();
    }
}

/// Sweeps when a socket rings, and at least twice within the time that a connection may be idle.
async fn keep(pool: Weak<Pool>, bell: Arc<Bell>, idle_timeout: Duration) {
    loop {
        // Both ends of the wait mean the same: look.
        let _ = tokio::time::timeout(idle_timeout / 2, bell.0.notified()).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep();
    }
}
