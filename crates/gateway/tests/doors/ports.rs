//! Ports that answer by rule, and a sink that keeps records.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipeline::ports::*;
use tokio::sync::watch;
use trace::{Record, RecordSink, Text};

/// "derivative" is math, "haiku" is other; anything else is unsure.
pub(crate) struct Domains;

impl DomainClassifier for Domains {
    fn name(&self) -> Arc<str> {
        Arc::from("by-rule")
    }

    fn classify(&self, text: &str) -> Result<CategoryScores, PortFailure> {
        if text.contains("CLASSIFIER FAILS") {
            let description = Text::trusted("as the test asked");
            return Err(PortFailure { kind: "classifier_broken", description });
        }
        assert!(!text.contains("CLASSIFIER PANICS"), "as the test asked");
        let ranked: &[(&str, f32)] = match text {
            text if text.contains("derivative") => &[("math", 0.9), ("other", 0.1)],
            text if text.contains("haiku") => &[("other", 0.8), ("math", 0.2)],
            _ => &[("math", 0.4), ("other", 0.35)],
        };
        Ok(CategoryScores { ranked: ranked.iter().map(|(name, p)| (Arc::from(*name), *p)).collect() })
    }
}

pub(crate) struct Jailbreaks;

impl JailbreakDetector for Jailbreaks {
    fn detect(&self, text: &str, _: &mut Deadline) -> Result<JailbreakScore, PortFailure> {
        let found = text.contains("Ignore all previous");
        let (confidence, patterns) = if found { (0.98, vec!["ignore_previous"]) } else { (0.02, Vec::new()) };
        Ok(JailbreakScore { confidence, kind: "instruction_override", patterns })
    }
}

pub(crate) struct Pii;

impl PiiRecognizer for Pii {
    fn find(&self, text: &str, _: &mut Deadline) -> Result<Vec<PiiEntity>, PortFailure> {
        let each = |needle: &'static str, kind| {
            text.match_indices(needle).map(move |(start, found)| PiiEntity {
                kind,
                start,
                end: start + found.len(),
                confidence: 1.0,
            })
        };
        let mut found: Vec<PiiEntity> =
            each("4111111111111111", "CREDIT_CARD").chain(each("a@b.de", "EMAIL_ADDRESS")).collect();
        found.sort_by_key(|entity| entity.start);
        Ok(found)
    }
}

#[derive(Default)]
pub(crate) struct Memory(Mutex<Vec<(CacheKey, StoredAnswer)>>);

impl AnswerCache for Memory {
    fn backend(&self) -> &'static str {
        "embedded"
    }

    fn lookup<'a>(&'a self, key: &'a CacheKey) -> PortFuture<'a, Option<CacheHit>> {
        let entries = self.0.lock().unwrap();
        let found = entries.iter().find(|(known, _)| known.exact == key.exact);
        let age = Duration::from_secs(1);
        let hit = found.map(|(_, answer)| CacheHit { answer: answer.clone(), age, similarity: 1.0 });
        Box::pin(async move { Ok(hit) })
    }

    fn store<'a>(&'a self, key: CacheKey, answer: StoredAnswer, _: Duration) -> PortFuture<'a, ()> {
        self.0.lock().unwrap().push((key, answer));
        Box::pin(async { Ok(()) })
    }
}

pub(crate) struct Forgetful;

impl Conversations for Forgetful {
    fn model_of(&self, _: ConversationKey) -> Option<Arc<str>> {
        None
    }

    fn remember(&self, _: ConversationKey, _: &Arc<str>) {}
}

/// Keeps finished records, and lets a test wait for them.
pub(crate) struct Kept {
    records: Mutex<Vec<Record>>,
    count: watch::Sender<usize>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept { records: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Kept {
    /// The first `count` records, as soon as there are so many.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Record> {
        let mut counts = self.count.subscribe();
        tokio::time::timeout(Duration::from_secs(20), counts.wait_for(|now| *now >= count))
            .await
            .expect("the records come in time")
            .unwrap();
        self.records.lock().unwrap().clone()
    }

    /// The only record.
    pub(crate) async fn one(&self) -> Record {
        let records = self.wait_for(1).await;
        assert_eq!(records.len(), 1);
        records.into_iter().next().unwrap()
    }
}

impl RecordSink for Kept {
    fn finished(&self, record: Box<Record>) {
        self.records.lock().unwrap().push(*record);
        self.count.send_modify(|count| *count += 1);
    }
}

/// Names of the spans without their common prefix.
pub(crate) fn names(record: &Record) -> Vec<&'static str> {
    record.spans().iter().map(|span| span.stage.span_name().trim_start_matches("semantic_router.")).collect()
}
