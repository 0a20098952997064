//! Envoy's `observability_mode`: nothing that we say counts. The request is recorded as it would have been decided, and the
//! trace claims nothing that did not happen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use dialects::request::ParsedRequest;
use trace::finding::{Finding, SecurityAction};
use trace::{ActiveRecord, Observed, Record, Text};

use super::conversation::{Part, State, Turn};
use super::head::AnswerLines;
use super::reading::Taken;
use crate::in_flight::Phase;
use crate::intake;

/// A request that is watched.
pub(super) struct Watching {
    subject: Subject,
    started: Instant,
}

enum Subject {
    /// A request of an API of ours, with what came of its body.
    Ours(Box<Taken>, BytesMut),
    /// One that was looked at, or is none of ours.
    Seen(ActiveRecord),
}

/// How long a request is watched at most. Envoy ends what it lets us watch by itself, after a time of its own.
const LONGEST: Duration = Duration::from_secs(3600);

impl Watching {
    pub(super) fn begin(mut taken: Taken) -> Watching {
        note(&mut taken.record);
        Watching { subject: Subject::Ours(Box::new(taken), BytesMut::new()), started: Instant::now() }
    }

    pub(super) fn elsewhere(mut record: ActiveRecord) -> Watching {
        note(&mut record);
        Watching { subject: Subject::Seen(record), started: Instant::now() }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.started + LONGEST
    }

    pub(super) async fn step(mut self, part: Part) -> Turn {
        match part {
            Part::RequestBody(body) => self.body(body.body, body.end_of_stream).await,
            Part::RequestTrailers => self.body(Vec::new(), true).await,
            Part::ResponseHead(head) => {
                let head = AnswerLines::read(&head);
                let record = self.record_mut();
                record.http_status = Some(head.status);
                record.request.observed = Observed::Headers;
            }
            Part::ResponseBody(body) if body.end_of_stream => {
                self.record_mut().request.observed = Observed::Body;
            }
            Part::ResponseTrailers => self.record_mut().request.observed = Observed::Body,
            // Whatever else comes, nobody waits for what we think of it.
            Part::RequestHead(_) | Part::ResponseBody(_) => {}
        }
        Turn::of(State::Watching(Box::new(self)), Vec::new())
    }

    pub(super) fn ended(self) {
        match self.subject {
            Subject::Ours(taken, _) => taken.record.finish(),
            Subject::Seen(record) => record.finish(),
        }
    }

    async fn body(&mut self, piece: Vec<u8>, last: bool) {
        let Subject::Ours(taken, body) = &mut self.subject else { return };
        taken.ticket.came_in(piece.len());
        let fits = body.len() + piece.len() <= taken.door.limits.body_bytes;
        if fits {
            body.extend_from_slice(&piece);
        } else {
            // Too long to be looked at; nothing is said of it.
            body.clear();
            taken.record.request.custom.push(unroutable("too_large"));
        }
        if !last || !fits {
            return;
        }
        taken.ticket.phase(Phase::Deciding);
        let body = body.split().freeze();
        look(taken, body).await;
    }

    fn record_mut(&mut self) -> &mut Record {
        match &mut self.subject {
            Subject::Ours(taken, _) => &mut taken.record,
            Subject::Seen(record) => record,
        }
    }
}

/// Records what would have been decided.
async fn look(taken: &mut Taken, body: Bytes) {
    let parsed: ParsedRequest = match intake::parse(taken.dialect, body, taken.door.limits.messages).await {
        Ok(parsed) => parsed,
        Err(error) => {
            taken.record.request.custom.push(unroutable(error.code.as_str()));
            return;
        }
    };
    intake::note_request(&parsed, &mut taken.record);
    let request = intake::request(parsed, &taken.caller, &taken.pipeline.policy, &taken.head.headers);
    // The outcome is not carried out by anybody.
    let _ = taken.pipeline.rehearse(&request, &mut taken.record).await;
    soften(&mut taken.record);
}

/// Takes back what a decision claims beyond what it found.
fn soften(record: &mut Record) {
    record.refusal = None;
    record.refused_by = None;
    record.fault = None;
    record.events.clear();
    for place in 0..record.spans().len() {
        let Some(span) = record.span_at_mut(place) else { continue };
        let action = match &mut span.finding {
            Finding::PiiDetection(finding) => &mut finding.action,
            Finding::JailbreakDetection(finding) => &mut finding.action,
            _ => continue,
        };
        if matches!(action, SecurityAction::Blocked | SecurityAction::Masked) {
            *action = SecurityAction::Reported;
        }
    }
}

fn note(record: &mut ActiveRecord) {
    let only = (Arc::from("semantic_router.observability_mode"), Text::trusted("true"));
    record.request.custom.push(only);
}

fn unroutable(why: &'static str) -> (Arc<str>, Text) {
    (Arc::from("semantic_router.unroutable"), Text::trusted(why))
}
