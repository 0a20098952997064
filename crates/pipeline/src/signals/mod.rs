//! Measuring: what is needed is measured once, side by side, and before any decision.
//!
//! A built-in check of a usual prompt takes less time than handing it to another thread, so short texts are
//! measured in place; long ones ([`INLINE_LIMIT_BYTES`]) go to blocking threads and run side by side.

mod findings;

use std::sync::Arc;
use std::time::Duration;

use dialects::request::TextId;
use futures_util::future::join3;
use trace::Timed;

use crate::policy::{Measure, PiiAllowance, Policy, Subject};
use crate::ports::{CategoryScores, Deadline, JailbreakScore, PiiEntity, PortFailure, Ports};
use crate::request::Request;

pub use findings::{Findings, PiiFindings};

/// Up to so many bytes, a text is measured on the request's own thread.
pub const INLINE_LIMIT_BYTES: usize = 16 * 1024;

/// Entities of each text that has some.
pub type EntitiesByText = Vec<(TextId, Vec<PiiEntity>)>;

/// `None` if nobody asked for it.
pub type Measured<T> = Option<Timed<Result<T, PortFailure>>>;

/// The raw results of the three measurements; `None` for one that nobody asked for.
pub struct Measurements {
    /// What the prompt is about.
    pub domain: Measured<Vec<(Subject, CategoryScores)>>,
    /// Entities of each text of the request that has some, by its place.
    pub pii: Measured<EntitiesByText>,
    /// The highest score of any subject that a signal reads.
    pub jailbreak: Measured<Vec<(Subject, JailbreakScore)>>,
}

/// Which measurements a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Texts to classify; the first is the one that routes.
    pub domain: Vec<Subject>,
    /// Look for personal data.
    pub pii: bool,
    /// Texts to search for attacks.
    pub jailbreak: Vec<Subject>,
}

impl Needs {
    /// What a policy needs of every request; computed once per policy.
    pub fn of(policy: &Policy) -> Needs {
        let mut used = vec![false; policy.signals.len()];
        for decision in &policy.decisions {
            decision.when.signals(&mut |index| used[index] = true);
        }
        let measures =
            || policy.signals.iter().zip(&used).filter(|(_, used)| **used).map(|(signal, _)| signal);
        let mut needs = Needs { domain: Vec::new(), pii: false, jailbreak: Vec::new() };
        let by_category =
            policy.models.len() > 1 && policy.models.iter().any(|model| model.category.is_some());
        if by_category || measures().any(|signal| matches!(signal.measure, Measure::Domain { .. })) {
            needs.domain.push(policy.category_subject);
        }
        needs.pii |= measures().any(|signal| matches!(signal.measure, Measure::Pii { .. }))
            || policy.models.iter().any(|model| model.pii != PiiAllowance::Everything);
        for signal in measures() {
            let list = match signal.measure {
                Measure::Domain { .. } => &mut needs.domain,
                Measure::Jailbreak { .. } => &mut needs.jailbreak,
                _ => continue,
            };
            if !list.contains(&signal.subject) {
                list.push(signal.subject);
            }
        }
        needs
    }
}

/// Measures what is needed; a check of a long text that takes longer than `limit` ends, and has failed.
pub async fn measure(request: &Request, needs: &Needs, ports: &Ports, limit: Duration) -> Measurements {
    let mut deadline = Deadline::after(limit);
    if request.parsed.body().len() <= INLINE_LIMIT_BYTES {
        return Measurements {
            domain: domain(request, needs, ports, &mut deadline),
            pii: pii(request, needs, ports, &mut deadline),
            jailbreak: jailbreak(request, needs, ports, &mut deadline),
        };
    }
    // A client that leaves drops this future; what is measured for it ends then too.
    let _waiting = deadline.until_dropped();
    let (domain, pii, jailbreak) = join3(
        elsewhere(request, needs, ports, &deadline, domain),
        elsewhere(request, needs, ports, &deadline, pii),
        elsewhere(request, needs, ports, &deadline, jailbreak),
    )
    .await;
    Measurements { domain, pii, jailbreak }
}

/// Runs one measurement on a blocking thread.
async fn elsewhere<T: Send + 'static>(
    request: &Request,
    needs: &Needs,
    ports: &Ports,
    deadline: &Deadline,
    measurement: fn(&Request, &Needs, &Ports, &mut Deadline) -> Measured<T>,
) -> Measured<T> {
    let started = std::time::Instant::now();
    // A request is cheap to clone: its bytes are shared.
    let (request, needs, ports) = (request.clone(), needs.clone(), ports.clone());
    let mut deadline = deadline.clone();
    let task = tokio::task::spawn_blocking(move || measurement(&request, &needs, &ports, &mut deadline));
    match task.await {
        Ok(measured) => measured,
        Err(_) => {
            let failure = PortFailure {
                kind: "panic",
                description: trace::Text::trusted(Arc::from(
                    "the check panicked; this is a bug of the router",
                )),
            };
            Some(Timed { value: Err(failure), started, ended: std::time::Instant::now() })
        }
    }
}

fn domain(
    request: &Request,
    needs: &Needs,
    ports: &Ports,
    _: &mut Deadline,
) -> Measured<Vec<(Subject, CategoryScores)>> {
    measure_subjects(request, &needs.domain, |_, text| ports.domain.classify(text))
}

fn pii(request: &Request, needs: &Needs, ports: &Ports, deadline: &mut Deadline) -> Measured<EntitiesByText> {
    if !needs.pii {
        return None;
    }
    Some(Timed::measure(|| {
        let mut found = Vec::new();
        for text in request.parsed.texts() {
            let entities = ports.pii.find(&text.text, deadline)?;
            if !entities.is_empty() {
                found.push((text.id, entities));
            }
        }
        Ok(found)
    }))
}

fn jailbreak(
    request: &Request,
    needs: &Needs,
    ports: &Ports,
    deadline: &mut Deadline,
) -> Measured<Vec<(Subject, JailbreakScore)>> {
    let tools = match request.parsed.facts().shape.has_tools {
        true => request.parsed.tool_descriptions(),
        false => String::new(),
    };
    measure_subjects(request, &needs.jailbreak, |subject, text| {
        let said = ports.jailbreak.detect(text, deadline)?;
        if tools.is_empty() || !reads_tools(subject) {
            return Ok(said);
        }
        // Descriptions of tools tell a model what to do, which is what attacks look like to a learned score: only what is
        // plainly an attack counts in them.
        let described = ports.jailbreak.detect(&tools, deadline)?;
        let worse = !described.patterns.is_empty() && described.confidence > said.confidence;
        Ok(if worse { described } else { said })
    })
}

/// Whether what is said of tools belongs to what a check for attacks reads.
fn reads_tools(subject: Subject) -> bool {
    matches!(subject, Subject::UserAndToolText | Subject::Conversation)
}

fn measure_subjects<T>(
    request: &Request,
    subjects: &[Subject],
    mut measurement: impl FnMut(Subject, &str) -> Result<T, PortFailure>,
) -> Measured<Vec<(Subject, T)>> {
    if subjects.is_empty() {
        return None;
    }
    Some(Timed::measure(|| {
        let each =
            subjects.iter().map(|subject| Ok((*subject, measurement(*subject, &request.subject(*subject))?)));
        each.collect()
    }))
}
