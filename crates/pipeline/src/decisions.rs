//! Matching: findings to the decision that holds. Pure.

use std::sync::Arc;

use crate::policy::{Action, Block, Decision, Measure, Policy, Route};
use crate::request::Request;
use crate::signals::Findings;

/// What the decisions say of a request.
#[derive(Debug)]
pub(crate) struct Matched<'p> {
    /// The decision that ended the search; `None` if none did.
    pub deciding: Option<Deciding<'p>>,
    /// Types to mask, whatever the route.
    pub mask_types: Vec<&'static str>,
    /// What happens to personal data that no candidate may see.
    pub unseeable: Unseeable,
}

/// A decision that ended the search, with the signals that made it hold.
#[derive(Debug)]
pub(crate) struct Deciding<'p> {
    /// Its name.
    pub name: &'p Arc<str>,
    /// What it does.
    pub effect: Effect<'p>,
    /// The signals, as a list for people.
    pub because: Arc<str>,
    /// Whether personal data was among the signals.
    pub about_pii: bool,
    /// Whether a jailbreak was among the signals.
    pub about_jailbreak: bool,
}

/// The actions that end the search.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect<'p> {
    /// Route.
    Route(&'p Route),
    /// Block.
    Block(&'p Block),
}

/// What happens to personal data that no candidate may see.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unseeable {
    /// It is masked.
    Mask,
    /// No decision says: the request is refused.
    Refuse,
}

/// Goes through the decisions, highest priority first.
pub(crate) fn matching<'p>(policy: &'p Policy, request: &Request, findings: &Findings) -> Matched<'p> {
    let mut matched = Matched { deciding: None, mask_types: Vec::new(), unseeable: Unseeable::Refuse };
    for decision in &policy.decisions {
        let held = Held::evaluate(decision, policy, request, findings);
        if !held.holds {
            continue;
        }
        match &decision.action {
            Action::Mask(Some(types)) => matched.mask_types.extend(types),
            Action::Mask(None) => matched.unseeable = Unseeable::Mask,
            Action::Block(block) => return held.decide(matched, decision, Effect::Block(block)),
            Action::Route(route) => return held.decide(matched, decision, Effect::Route(route)),
        }
    }
    matched
}

/// How one decision's expression came out.
struct Held {
    holds: bool,
    because: Vec<Arc<str>>,
    about_pii: bool,
    about_jailbreak: bool,
}

impl Held {
    fn evaluate(decision: &Decision, policy: &Policy, request: &Request, findings: &Findings) -> Held {
        let mut held = Held { holds: false, because: Vec::new(), about_pii: false, about_jailbreak: false };
        held.holds = decision.when.holds(&mut |index| {
            let signal = &policy.signals[index];
            let holds = findings.holds(signal, request);
            if holds {
                held.because.push(Arc::clone(&signal.name));
                held.about_pii |= matches!(signal.measure, Measure::Pii { .. });
                held.about_jailbreak |= matches!(signal.measure, Measure::Jailbreak { .. });
            }
            holds
        });
        held
    }

    fn decide<'p>(self, matched: Matched<'p>, decision: &'p Decision, effect: Effect<'p>) -> Matched<'p> {
        let deciding = Deciding {
            name: &decision.name,
            effect,
            because: Arc::from(self.because.join(", ")),
            about_pii: self.about_pii,
            about_jailbreak: self.about_jailbreak,
        };
        Matched { deciding: Some(deciding), ..matched }
    }
}
