//! What the pipeline needs from outside: classifiers, the cache, memory of conversations, endpoints.
//!
//! Traits stand only here. Measuring a text is work for the processor, so those ports are plain functions and the
//! pipeline decides on which thread they run; the cache may be a network away, so that port is asynchronous.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use trace::Text;
use trace::propagation::TraceContext;

use crate::policy::{Endpoint, Model};

/// A future that a port returns.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortFailure>> + Send + 'a>>;

/// A port could not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFailure {
    /// Low-cardinality type for `error.type`, such as `cache_unreachable`.
    pub kind: &'static str,
    /// What happened.
    pub description: Text,
}

impl PortFailure {
    /// [`PortFailure::kind`] of a measurement that did not end in its time.
    pub const TIMEOUT: &'static str = "timeout";
    /// [`PortFailure::kind`] of a measurement that nobody waits for any more.
    pub const ABANDONED: &'static str = "abandoned";
}

/// How long the measurements of one request may go on. Whoever measures a long text asks as it goes, so that the processor is
/// free again soon after the time is over, or after whoever waits has left.
#[derive(Debug, Clone)]
pub struct Deadline {
    limit: Duration,
    ends: Option<Instant>,
    abandoned: Arc<AtomicBool>,
    /// Bytes of work since the clock was looked at.
    unseen_bytes: usize,
}

impl Deadline {
    /// The clock is looked at once so many bytes of work have come together; a text below that is measured in any case.
    pub const LOOK_BYTES: usize = 64 * 1024;

    /// A deadline that lies `limit` from now; none at all where that is beyond the clock's end.
    pub fn after(limit: Duration) -> Deadline {
        let ends = Instant::now().checked_add(limit);
        Deadline { limit, ends, abandoned: Arc::default(), unseen_bytes: 0 }
    }

    /// No deadline, for a text whose length is bounded already.
    pub fn none() -> Deadline {
        Deadline { limit: Duration::MAX, ends: None, abandoned: Arc::default(), unseen_bytes: 0 }
    }

    /// Whether work on so many more bytes may begin.
    ///
    /// # Errors
    ///
    /// What the measurement's failure is.
    pub fn check(&mut self, bytes: usize) -> Result<(), PortFailure> {
        self.unseen_bytes = self.unseen_bytes.saturating_add(bytes);
        if self.unseen_bytes < Deadline::LOOK_BYTES {
            return Ok(());
        }
        self.unseen_bytes = 0;
        if self.abandoned.load(Ordering::Relaxed) {
            let description = Text::trusted("the client left before the check had ended");
            return Err(PortFailure { kind: PortFailure::ABANDONED, description });
        }
        if self.ends.is_some_and(|ends| Instant::now() >= ends) {
            let sentence = format!("the check did not end within its limit of {} ms", self.limit.as_millis());
            return Err(PortFailure { kind: PortFailure::TIMEOUT, description: Text::trusted(sentence) });
        }
        Ok(())
    }

    /// Ends the measurements, once dropped: nobody waits for them then.
    pub fn until_dropped(&self) -> Abandon {
        Abandon(Arc::clone(&self.abandoned))
    }
}

/// See [`Deadline::until_dropped`].
#[derive(Debug)]
pub struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Probabilities of categories.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryScores {
    /// Category and probability (0 to 1), most probable first; at least one.
    pub ranked: Vec<(Arc<str>, f32)>,
}

/// Says what a text is about, in a time that does not grow with the text: it has no deadline.
pub trait DomainClassifier: Send + Sync {
    /// Value of `classifier.type`.
    fn name(&self) -> Arc<str>;
    /// Measures a text.
    fn classify(&self, text: &str) -> Result<CategoryScores, PortFailure>;
}

/// How much a text looks like an attack.
#[derive(Debug, Clone, PartialEq)]
pub struct JailbreakScore {
    /// Calibrated probability, 0 to 1.
    pub confidence: f32,
    /// Which kind it would be.
    pub kind: &'static str,
    /// Names of the patterns that matched.
    pub patterns: Vec<&'static str>,
}

/// Says whether a text attacks the model's instructions.
pub trait JailbreakDetector: Send + Sync {
    /// Measures a text, all of it or none.
    fn detect(&self, text: &str, deadline: &mut Deadline) -> Result<JailbreakScore, PortFailure>;
}

/// One place in a text that holds personal data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PiiEntity {
    /// Its type, such as `EMAIL_ADDRESS`.
    pub kind: &'static str,
    /// First byte; on a character boundary.
    pub start: usize,
    /// Byte after the last; on a character boundary.
    pub end: usize,
    /// 0 to 1.
    pub confidence: f32,
}

/// Finds personal data.
pub trait PiiRecognizer: Send + Sync {
    /// All entities of a text, in order, not overlapping.
    fn find(&self, text: &str, deadline: &mut Deadline) -> Result<Vec<PiiEntity>, PortFailure>;
}

/// Under what an answer is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// Who may see it and everything that shapes it but the prompt's text: a semantic index searches only within.
    pub partition: [u8; 32],
    /// The partition and the normalised prompt: an exact index looks only at this.
    pub exact: [u8; 32],
}

/// A remembered answer.
#[derive(Debug, Clone)]
pub struct StoredAnswer {
    /// A complete completion as JSON.
    pub body: Bytes,
    /// The model that gave it.
    pub model: Arc<str>,
    /// The trace that made it.
    pub origin: TraceContext,
}

/// What a lookup found.
#[derive(Debug, Clone)]
pub struct CacheHit {
    /// The answer.
    pub answer: StoredAnswer,
    /// How long it has been there.
    pub age: Duration,
    /// Similarity to the prompt it was made for, 0 to 1.
    pub similarity: f32,
}

/// Remembers answers.
pub trait AnswerCache: Send + Sync {
    /// Value of `cache.backend`.
    fn backend(&self) -> &'static str;
    /// Looks an answer up.
    fn lookup<'a>(&'a self, key: &'a CacheKey) -> PortFuture<'a, Option<CacheHit>>;
    /// Remembers an answer for a time. It must not wait for long; failures are for the span.
    fn store<'a>(&'a self, key: CacheKey, answer: StoredAnswer, ttl: Duration) -> PortFuture<'a, ()>;
}

/// Names a conversation: a hash of who speaks and how it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConversationKey(pub [u8; 16]);

/// Remembers which model a conversation has. Bounded; forgetting is harmless.
pub trait Conversations: Send + Sync {
    /// The model that answered last.
    fn model_of(&self, key: ConversationKey) -> Option<Arc<str>>;
    /// The model that answers now.
    fn remember(&self, key: ConversationKey, model: &Arc<str>);
}

/// One unit of an endpoint's capacity; returned when dropped.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// Takes a unit if fewer than `limit` are taken.
    pub fn take(in_use: &Arc<AtomicUsize>, limit: usize) -> Option<Permit> {
        let taken = in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < limit).then_some(count + 1));
        taken.ok().map(|_| Permit(Arc::clone(in_use)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The endpoint that takes an attempt.
#[derive(Debug)]
pub struct Selected {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its capacity.
    pub permit: Permit,
    /// `weighted` or `least_busy`.
    pub strategy: &'static str,
    /// How many could have taken it.
    pub candidates: u32,
    /// Those that could not, with the reason's code.
    pub excluded: Vec<(Arc<str>, &'static str)>,
}

/// No endpoint could take an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoneAvailable {
    /// `weighted` or `least_busy`.
    pub strategy: &'static str,
    /// Each endpoint with the reason's code: `tried`, `ejected`, `busy`, `dialect`, `weight_zero`.
    pub excluded: Vec<(Arc<str>, &'static str)>,
}

/// How an attempt went, for the health of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptReport {
    /// The endpoint answered.
    Answered,
    /// It could not be reached, broke, timed out, or said that it is overloaded.
    Failed,
}

/// Chooses among a model's endpoints and watches their health.
pub trait Backends: Send + Sync {
    /// Chooses an endpoint of `model` that speaks `dialect`, none of `tried`.
    fn select(
        &self,
        model: &Model,
        dialect: dialects::Dialect,
        tried: &[Arc<str>],
    ) -> Result<Selected, NoneAvailable>;
    /// Learns how an attempt went.
    fn report(&self, endpoint: &Endpoint, report: AttemptReport);
    /// Asks the retry budget for one more attempt.
    fn may_retry(&self) -> bool;
}

/// All ports together.
#[derive(Clone)]
pub struct Ports {
    /// See [`DomainClassifier`].
    pub domain: Arc<dyn DomainClassifier>,
    /// See [`JailbreakDetector`].
    pub jailbreak: Arc<dyn JailbreakDetector>,
    /// See [`PiiRecognizer`].
    pub pii: Arc<dyn PiiRecognizer>,
    /// See [`AnswerCache`].
    pub cache: Arc<dyn AnswerCache>,
    /// See [`Conversations`].
    pub conversations: Arc<dyn Conversations>,
    /// See [`Backends`].
    pub backends: Arc<dyn Backends>,
}
