//! Who holds a place, and who gives it up when all are taken.
//!
//! A connection without a request in progress costs its client nothing and others a place. When a newcomer finds none free,
//! one that has never asked for anything leaves, the oldest first; else the one that has been idle for longest. Invariant: a
//! connection whose request is in progress, from the end of its head to the end of its answer's body, is never asked to leave.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The places of one listener, and who is in them.
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    members: Mutex<HashMap<u64, Arc<Presence>>>,
    started: Instant,
    next: AtomicU64,
    /// A newcomer waits for a place.
    full: AtomicBool,
    /// Somebody may leave who could not before.
    changed: Notify,
}

/// One connection, as the crowd sees it.
struct Presence {
    requests: AtomicUsize,
    asked: AtomicBool,
    /// When the last request ended, or the connection began: microseconds since the listener did.
    idle_since: AtomicU64,
    /// It was asked to leave, and has not said that it cannot.
    leaving: AtomicBool,
    leave: Notify,
}

/// How long one that was asked to leave is waited for, before another is asked too.
const LEAVING_TIME: Duration = Duration::from_millis(10);

/// One connection's membership and place; both end when it is dropped.
pub(super) struct Member {
    crowd: Arc<Crowd>,
    presence: Arc<Presence>,
    key: u64,
    _place: OwnedSemaphorePermit,
}

/// A request in progress, for as long as it is kept.
pub(super) struct Busy {
    crowd: Arc<Crowd>,
    presence: Arc<Presence>,
}

/// The body of an answer, until whose end its request is in progress.
pub(super) struct Answer {
    body: Body,
    _busy: Busy,
}

impl Crowd {
    pub(super) fn new(places: usize) -> Arc<Crowd> {
        Arc::new(Crowd {
            places: Arc::new(Semaphore::new(places)),
            members: Mutex::default(),
            started: Instant::now(),
            next: AtomicU64::new(0),
            full: AtomicBool::new(false),
            changed: Notify::new(),
        })
    }

    /// A place for a newcomer, as soon as one is free or somebody can leave.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Member> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                // Set before looking: whoever becomes idle after the look sees it and says so.
                self.full.store(true, SeqCst);
                let place = self.make_room().await;
                self.full.store(false, SeqCst);
                place?
            }
        };
        let presence = Arc::new(Presence {
            requests: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            idle_since: AtomicU64::new(self.now()),
            leaving: AtomicBool::new(false),
            leave: Notify::new(),
        });
        let key = self.next.fetch_add(1, SeqCst);
        self.members().insert(key, Arc::clone(&presence));
        Some(Member { crowd: Arc::clone(self), presence, key, _place: place })
    }

    async fn make_room(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.ask_one_to_leave();
            tokio::select! {
                place = Arc::clone(&self.places).acquire_owned() => return place.ok(),
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LEAVING_TIME) => {}
            }
        }
    }

    fn ask_one_to_leave(&self) {
        let members = self.members();
        let can_leave =
            |presence: &&Arc<Presence>| presence.requests.load(SeqCst) == 0 && !presence.leaving.load(SeqCst);
        let order =
            |presence: &&Arc<Presence>| (presence.asked.load(SeqCst), presence.idle_since.load(SeqCst));
        if let Some(presence) = members.values().filter(can_leave).min_by_key(order) {
            presence.leaving.store(true, SeqCst);
            presence.leave.notify_one();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn members(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Presence>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// A request's head has come.
    pub(super) fn request(&self) -> Busy {
        self.presence.requests.fetch_add(1, SeqCst);
        self.presence.asked.store(true, SeqCst);
        Busy { crowd: Arc::clone(&self.crowd), presence: Arc::clone(&self.presence) }
    }

    /// Whether a request's head has ever come.
    pub(super) fn has_asked(&self) -> bool {
        self.presence.asked.load(SeqCst)
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        self.presence.requests.load(SeqCst) > 0
    }

    /// Completes when the connection has to give up its place.
    pub(super) async fn told_to_leave(&self) {
        loop {
            self.presence.leave.notified().await;
            if !self.is_busy() {
                return;
            }
            // Its request came in just then: somebody else has to.
            self.presence.leaving.store(false, SeqCst);
            self.crowd.changed.notify_one();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.members().remove(&self.key);
    }
}

impl Busy {
    /// Keeps the request in progress until the end of its answer.
    pub(super) fn until_end_of(self, body: Body) -> Answer {
        Answer { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.presence.idle_since.store(self.crowd.now(), SeqCst);
        self.presence.requests.fetch_sub(1, SeqCst);
        if self.crowd.full.load(SeqCst) {
            self.crowd.changed.notify_one();
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn enters(crowd: &Arc<Crowd>) -> Option<Member> {
        crowd.enter().now_or_never().flatten()
    }

    #[tokio::test]
    async fn who_never_asked_leaves_first_and_who_is_busy_stays() {
        let crowd = Crowd::new(3);
        let (idle, silent, busy) =
            (enters(&crowd).unwrap(), enters(&crowd).unwrap(), enters(&crowd).unwrap());
        drop(idle.request());
        let request = busy.request();

        let newcomer = tokio::spawn({
            let crowd = Arc::clone(&crowd);
            async move { crowd.enter().await }
        });
        silent.told_to_leave().await;
        drop(silent);
        let newcomer = newcomer.await.unwrap().unwrap();
        let answering = newcomer.request();

        let another = tokio::spawn({
            let crowd = Arc::clone(&crowd);
            async move { crowd.enter().await }
        });
        idle.told_to_leave().await;
        assert!(busy.told_to_leave().now_or_never().is_none());
        drop(idle);
        let another = another.await.unwrap().unwrap();

        // Everybody is busy: the next place is that of the first who is done.
        let waits = another.request();
        let last = tokio::spawn({
            let crowd = Arc::clone(&crowd);
            async move { crowd.enter().await }
        });
        tokio::task::yield_now().await;
        assert!(!last.is_finished());
        drop(request);
        busy.told_to_leave().await;
        drop(busy);
        assert!(last.await.unwrap().is_some());
        drop((waits, answering));
    }
}
