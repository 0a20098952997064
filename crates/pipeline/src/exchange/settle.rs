//! The end of an exchange: what the answer said is written down, remembered and counted, and the record is handed over.

use std::sync::Arc;

use dialects::sse::StreamSummary;
use futures_util::FutureExt;
use trace::finding::{Finding, ResponseProcessing, Usage};
use trace::{ActiveRecord, SpanStatus, Stage, Text};

use super::{Current, Exchange, Sight};
use crate::outcome::StorePlan;
use crate::ports::{AnswerCache, CacheKey, StoredAnswer};
use crate::stages::response_processing::Learnt;
use crate::stages::{cache_store, upstream_request};

/// `error.type` of a stream in which the backend told of an error of its own, and what the trace says of it.
const STREAM_ERROR: &str = "stream_error";
const STREAM_ERROR_TOLD: &str = "the backend ended its stream with an error";

impl Exchange {
    /// Runs once, when the exchange is dropped.
    pub(super) fn settle(&mut self) {
        self.note_prompt();
        let Some(current) = self.current.take() else {
            // Nothing was under way: refused before an attempt, or after the last one.
            let Some(record) = self.record.take() else { return };
            if self.ended {
                record.finish();
            } else {
                drop(record);
            }
            return;
        };
        if !self.ended {
            if let Some(record) = self.record.as_mut()
                && let Some(span) = record.span_mut(current.span)
            {
                span.finding = Finding::UpstreamRequest(current.finding);
            }
            // Dropping the record closes what is open as cancelled.
            drop(self.record.take());
            return;
        }
        let status = current.finding.http_status;
        let learnt = self.note_answer(current);
        let Some(mut record) = self.record.take() else { return };
        // What passes through is the answer of the request too.
        if let Some(status) = status.filter(|status| *status >= 500 && record.fault.is_none()) {
            let description = Text::trusted(format!("the backend answered with status {status}"));
            record.fail(status.to_string(), description);
        }
        match self.plan.store.filter(|_| status.is_some_and(|status| status < 400)) {
            Some(plan) => self.store(plan, status, learnt, record),
            None => record.finish(),
        }
    }

    /// Writes what the attempt's answer said into its span, and what was done with it into the next one.
    pub(super) fn note_answer(&mut self, current: Current) -> Learnt {
        let Current { span, mut finding, mut reader, .. } = current;
        let Some(record) = self.record.as_mut() else { return Learnt::default() };
        let read = self.sight == Sight::Whole && finding.http_status.is_some_and(|status| status < 400);
        let processing = read.then(|| record.begin(Stage::ResponseProcessing));
        let mut learnt = reader.learnt();
        self.note_answer_text(learnt.body.as_ref());
        let Some(record) = self.record.as_mut() else { return Learnt::default() };
        let answer = &mut finding.answer;
        let summary = std::mem::take(&mut learnt.summary);
        answer.output_chunks = summary.output_chunks;
        answer.usage = summary.usage.map(usage);
        let StreamSummary { id, model, finish_reasons, error, .. } = summary;
        answer.id = id.as_deref().map(Text::from_outside);
        answer.model = model.as_deref().map(Text::from_outside);
        answer.finish_reasons = distinct(&finish_reasons);
        if let (Some(usage), Some(choice)) = (&answer.usage, self.plan.choices.get(self.choice)) {
            finding.cost = choice.model.price.map(|price| upstream_request::cost(&price, usage));
        }
        let status = finding.http_status;
        if let Some(choice) = self.plan.choices.get(self.choice).filter(|_| status == Some(200)) {
            let key = self.request.conversation_key();
            self.pipeline.ports.conversations.remember(key, &choice.model.name);
        }
        record.end(span, Finding::UpstreamRequest(finding));
        let broken = error.is_some();
        if broken {
            record.fail(STREAM_ERROR, Text::trusted(STREAM_ERROR_TOLD));
        }
        if let Some(span) = record.span_mut(span) {
            if broken {
                span.status = SpanStatus::Error {
                    kind: STREAM_ERROR.into(),
                    description: Text::trusted(STREAM_ERROR_TOLD),
                };
            } else if let Some(status) = status.filter(|status| *status >= 400) {
                let description = Text::trusted(format!("the backend answered with status {status}"));
                span.status = SpanStatus::Error { kind: status.to_string().into(), description };
            } else if learnt.malformed {
                let description = Text::trusted("the backend's answer is malformed");
                span.status = SpanStatus::Error { kind: "invalid_answer".into(), description };
            }
        }
        if let Some(index) = processing {
            let (bytes_in, bytes_out, unmasked) = (self.bytes_in, self.bytes_out, learnt.unmasked);
            record.end(
                index,
                Finding::ResponseProcessing(ResponseProcessing { unmasked, bytes_in, bytes_out }),
            );
        }
        learnt
    }

    /// Remembers the answer. An index in memory is done at once; one that is a network away goes on in a task of its
    /// own, which takes the record along.
    fn store(&self, plan: StorePlan, status: Option<u16>, learnt: Learnt, mut record: ActiveRecord) {
        let span = record.begin(Stage::CacheStore);
        let body = match cache_store::storable(&plan, status, learnt.body) {
            Ok(body) => body,
            Err(reason) => {
                record.end(span, cache_store::finding(reason, 0));
                record.finish();
                return;
            }
        };
        let Some(choice) = self.plan.choices.get(self.choice) else { return };
        let size = body.len();
        let origin = record.root_context();
        let answer = StoredAnswer { body, model: Arc::clone(&choice.name), origin };
        let cache = Arc::clone(&self.pipeline.ports.cache);
        let ttl = plan.ttl;
        let mut storing = Box::pin(remember(cache, plan.key, answer, ttl));
        let settle = move |mut record: ActiveRecord, stored: Result<(), crate::ports::PortFailure>| {
            let reason = stored.map_or_else(|failure| failure.kind, |()| "stored");
            record.end(span, cache_store::finding(reason, size));
            record.finish();
        };
        match (&mut storing).now_or_never() {
            Some(stored) => settle(record, stored),
            None => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => {
                    runtime.spawn(async move {
                        let stored = storing.await;
                        settle(record, stored);
                    });
                }
                Err(_) => record.finish(),
            },
        }
    }
}

async fn remember(
    cache: Arc<dyn AnswerCache>,
    key: CacheKey,
    answer: StoredAnswer,
    ttl: std::time::Duration,
) -> Result<(), crate::ports::PortFailure> {
    cache.store(key, answer, ttl).await
}

fn usage(usage: dialects::response::Usage) -> Usage {
    Usage {
        prompt: usage.prompt_tokens,
        completion: usage.completion_tokens,
        cached: usage.cached_tokens,
        reasoning: usage.reasoning_tokens,
    }
}

fn distinct(reasons: &[String]) -> Vec<Text> {
    let mut distinct: Vec<Text> = Vec::new();
    for reason in reasons {
        let reason = Text::from_outside(reason);
        if !distinct.contains(&reason) {
            distinct.push(reason);
        }
    }
    distinct
}
