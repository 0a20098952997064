//! A waker that passes over what a call does to itself.
//!
//! A call that drives its own connection stands at both ends of hyper's channels: taking a chunk out at one end wakes
//! whoever drives the other, which is the same task, and which will drive it anyway before it waits. The runtime would
//! poll the task once more for nothing, and wake another thread for that.
//!
//! Invariant: a wake-up by anybody else, such as the socket's, is passed on.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// Passes wake-ups on to the task that polled last.
#[derive(Debug)]
pub(super) struct Relay {
    task: Mutex<Waker>,
}

thread_local! {
    /// The address of the relay within whose [`Relay::quietly`] this thread is; 0 outside.
    static QUIET: Cell<usize> = const { Cell::new(0) };
}

/// Ends the scope, also when it panics.
struct Within {
    before: usize,
}

impl Drop for Within {
    fn drop(&mut self) {
        QUIET.set(self.before);
    }
}

impl Relay {
    pub(super) fn new() -> Arc<Relay> {
        Arc::new(Relay { task: Mutex::new(Waker::noop().clone()) })
    }

    /// A waker for the task that polls now.
    pub(super) fn waker(self: &Arc<Self>, context: &Context<'_>) -> Waker {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker());
        Waker::from(Arc::clone(self))
    }

    /// Runs `take` and passes over what it wakes. Whoever calls has to poll that before it waits.
    pub(super) fn quietly<T>(self: &Arc<Self>, take: impl FnOnce() -> T) -> T {
        let _within = Within { before: QUIET.replace(self.address()) };
        take()
    }

    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if QUIET.get() != self.address() {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn only_wake_ups_by_others_are_passed_on() {
        let counter = Arc::new(Counter::default());
        let task = Waker::from(Arc::clone(&counter));
        let count = || counter.0.load(Ordering::SeqCst);
        let (relay, other) = (Relay::new(), Relay::new());
        let waker = relay.waker(&Context::from_waker(&task));
        relay.quietly(|| {
            waker.wake_by_ref();
            assert_eq!(count(), 0, "by itself, while it takes");
            let waker = waker.clone();
            other.quietly(|| waker.wake_by_ref());
            assert_eq!(count(), 1, "by another call on the same thread");
            std::thread::spawn(move || waker.wake_by_ref()).join().unwrap();
            assert_eq!(count(), 2, "by another thread at the same time");
        });
        waker.wake_by_ref();
        assert_eq!(count(), 3, "by anything afterwards");
    }
}
