//! `semantic_router.routing.decision`: which model answers, and whether it reasons.
//!
//! Choosing is pure: the same request, findings and policy give the same ranking. Where weights leave a choice, the
//! low bits of the trace id make it, so that a replay of a trace repeats it.

use std::sync::Arc;

use dialects::response::ErrorCode;
use trace::Text;
use trace::finding::{Reasoning, RoutingReason, RoutingStrategy};

use crate::decisions::{Deciding, Effect};
use crate::outcome::{Choice, Refusal};
use crate::policy::{FamilySwitch, Group, Model, PiiAllowance, Policy, ReasoningChoice, Route};
use crate::request::Request;
use crate::signals::Findings;

/// The name of the group whose categories want a model that reasons.
pub const REASONING_GROUP: &str = "reasoning";

/// How a request may be answered, before the filters.
#[derive(Debug, Clone)]
pub(crate) struct Intent<'p> {
    /// How the model comes to be chosen.
    pub strategy: RoutingStrategy,
    /// Name of the decision, `default` if none.
    pub decision: Arc<str>,
    /// Why the first candidate.
    pub reason: RoutingReason,
    /// Models with their scores, best first.
    pub candidates: Vec<(Arc<Model>, f32)>,
    /// What the decision says of reasoning.
    pub reasoning: Option<ReasoningChoice>,
    /// The route, where a decision gave one.
    pub route: Option<&'p Route>,
    /// The name to send, where a model takes any.
    pub requested_name: Option<Arc<str>>,
}

/// Candidates after the filters.
#[derive(Debug, Clone)]
pub(crate) struct Ranking {
    /// Those that can answer, best first.
    pub candidates: Vec<(Arc<Model>, f32)>,
    /// Those that cannot, with the reason's code.
    pub rejected: Vec<(Arc<str>, &'static str)>,
}

/// Says how a request may be answered.
///
/// # Errors
///
/// A refusal when the client names a model that does not exist or that it may not use, or when there are no models.
pub(crate) fn intend<'p>(
    policy: &'p Policy,
    request: &Request,
    findings: &Findings,
    deciding: Option<&Deciding<'p>>,
    remembered: Option<(Arc<str>, &'static str)>,
    randomness: u64,
) -> Result<Intent<'p>, Refusal> {
    let Some(default) = policy.default_model.and_then(|index| policy.models.get(index)) else {
        let message = "No model is configured, so no backend can answer. Add `models` to the configuration, or set OPENAI_BASE_URL and OPENAI_API_KEY.";
        return Err(Refusal::new(ErrorCode::NoBackend, message));
    };
    if let Some(name) = requested_model(request) {
        return specified(policy, request, name);
    }
    if let Some(Deciding { name, effect: Effect::Route(route), because, .. }) = deciding {
        return Ok(Intent {
            strategy: RoutingStrategy::Auto,
            decision: Arc::clone(name),
            reason: RoutingReason::Decision { name: Arc::clone(name), because: Arc::clone(because) },
            candidates: candidates_of(route, policy, randomness),
            reasoning: route.reasoning.clone(),
            route: Some(route),
            requested_name: None,
        });
    }
    let mut intent = by_category(policy, findings, default);
    if request.principal.allowed_models.is_some() {
        // Whom not every model is open to gets one that is, if the fitting ones are not.
        let open = policy.models.iter().filter(|model| request.principal.may_use(&model.name));
        let others: Vec<_> = open
            .filter(|model| intent.candidates.iter().all(|(known, _)| known.name != model.name))
            .collect();
        intent.candidates.extend(others.into_iter().map(|model| (Arc::clone(model), 0.0)));
    }
    if request.parsed.facts().sampling.reasoning_effort.is_some() {
        // The client said how much to reason, and no decision says otherwise.
        intent.reasoning = None;
    }
    if let Some((name, by)) = remembered
        && let Some(model) = policy.model(&name)
    {
        intent.strategy = RoutingStrategy::Continued;
        intent.reason = RoutingReason::Continued { by };
        if intent.reasoning.is_some() {
            intent.reasoning = serves_reasoning(policy, model).then(reasoning_on);
        }
        intent.candidates.retain(|(other, _)| other.name != model.name);
        intent.candidates.insert(0, (Arc::clone(model), 1.0));
    }
    Ok(intent)
}

/// The model that a request names; `None` if it leaves the choice to the router.
pub fn requested_model(request: &Request) -> Option<&str> {
    let name = request.parsed.model()?;
    (!name.is_empty() && name != "auto" && name != "MoM").then_some(name)
}

/// Filters candidates: dialect, principal, context length, and personal data that is still in the clear.
pub(crate) fn rank(intent: &Intent<'_>, request: &Request, pii_types: &[&'static str]) -> Ranking {
    let mut ranking = Ranking { candidates: Vec::new(), rejected: Vec::new() };
    let sampling = &request.parsed.facts().sampling;
    let tokens = request.estimated_tokens().saturating_add(sampling.max_tokens.unwrap_or(0));
    for (model, score) in &intent.candidates {
        let why = if !model.speaks(request.parsed.dialect()) {
            Some("dialect")
        } else if !request.principal.may_use(&model.name) {
            Some("not_allowed")
        } else if model.context_length.is_some_and(|length| tokens > length) {
            Some("context_length")
        } else if request.parsed.facts().shape.has_token_ids && model.pii != PiiAllowance::Everything {
            // Personal data cannot be seen in token numbers.
            Some("unreadable")
        } else if pii_types.iter().any(|kind| !model.pii.allows(kind)) {
            Some("pii")
        } else {
            None
        };
        match why {
            Some(why) => ranking.rejected.push((Arc::clone(&model.name), why)),
            None => ranking.candidates.push((Arc::clone(model), *score)),
        }
    }
    ranking
}

/// The choice that a candidate becomes.
pub(crate) fn choice(intent: &Intent<'_>, model: &Arc<Model>, request: &Request) -> Choice {
    let effort = request.parsed.facts().sampling.reasoning_effort.as_deref();
    let family = model.reasoning_family.as_ref();
    let reasoning = match &intent.reasoning {
        Some(choice) => Reasoning {
            // Without a switch nothing is switched on, whatever the decision wants.
            enabled: choice.enabled && family.is_some(),
            effort: choice.effort.clone().or_else(|| default_effort(model, choice.enabled)),
            family: family.map(|family| Arc::clone(&family.name)),
        },
        None => Reasoning {
            enabled: effort.is_some_and(|effort| effort != "none"),
            effort: effort.map(bounded),
            family: family.map(|family| Arc::clone(&family.name)),
        },
    };
    let (name, upstream_name) = match &intent.requested_name {
        // What the client wrote goes to the backend to the letter, and into the record only as text from outside.
        Some(name) if **name != *model.name => {
            (Arc::from(Text::from_outside(name).as_str()), Arc::clone(name))
        }
        _ => (Arc::clone(&model.name), Arc::clone(&model.upstream_name)),
    };
    Choice {
        model: Arc::clone(model),
        name,
        upstream_name,
        reasoning,
        switch_reasoning: intent.reasoning.is_some(),
    }
}

/// The client's word for an effort; a longer one than any real word is not worth a place in the trace.
fn bounded(effort: &str) -> Arc<str> {
    if effort.len() <= 16 && effort.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Arc::from(effort)
    } else {
        Arc::from("_OTHER")
    }
}

fn default_effort(model: &Model, enabled: bool) -> Option<Arc<str>> {
    match &model.reasoning_family.as_ref()?.switch {
        FamilySwitch::Effort { default, .. } if enabled => Some(Arc::clone(default)),
        _ => None,
    }
}

fn specified<'p>(policy: &'p Policy, request: &Request, name: &str) -> Result<Intent<'p>, Refusal> {
    let any = || policy.models.iter().find(|model| model.any_model);
    // A name may be as long as a body; what is said of it is not.
    let shown = || Text::from_outside(name);
    let Some(model) = policy.model(name).or_else(any) else {
        let message = format!(
            "No model is called {:?} here. Ask GET /v1/models for the names, or use \"auto\" to let the router choose.",
            shown().as_str()
        );
        return Err(Refusal { param: Some("model"), ..Refusal::new(ErrorCode::ModelNotFound, message) });
    };
    if !request.principal.may_use(&model.name) {
        let message = format!(
            "This API key may not use the model {:?}. Ask the router's operator, or use another model.",
            shown().as_str()
        );
        return Err(Refusal { param: Some("model"), ..Refusal::new(ErrorCode::ModelNotAllowed, message) });
    }
    Ok(Intent {
        strategy: RoutingStrategy::Specified,
        decision: Arc::from("specified"),
        reason: RoutingReason::Specified,
        candidates: vec![(Arc::clone(model), 1.0)],
        reasoning: None,
        route: None,
        requested_name: Some(Arc::from(name)),
    })
}

/// The candidates of a route: by score; among equals a draw by weight, the rest behind it.
fn candidates_of(route: &Route, policy: &Policy, randomness: u64) -> Vec<(Arc<Model>, f32)> {
    let mut left: Vec<_> = route.candidates.iter().collect();
    left.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut ranked = Vec::with_capacity(left.len());
    while let Some(best) = left.first().map(|candidate| candidate.score) {
        let equals = left.iter().take_while(|candidate| candidate.score.total_cmp(&best).is_eq()).count();
        let total: u64 = left[..equals].iter().map(|candidate| u64::from(candidate.weight)).sum();
        let mut draw = randomness.checked_rem(total).unwrap_or(0);
        let drawn = left[..equals].iter().position(|candidate| {
            let weight = u64::from(candidate.weight);
            let hit = draw < weight;
            draw = draw.saturating_sub(weight);
            hit
        });
        let candidate = left.remove(drawn.unwrap_or(0));
        if let Some(model) = policy.models.get(candidate.model) {
            ranked.push((Arc::clone(model), candidate.score));
        }
    }
    ranked
}

/// Routes by what the models say they are for: a category first, then a group by the probability of all its
/// categories, then the default.
fn by_category<'p>(policy: &'p Policy, findings: &Findings, default: &Arc<Model>) -> Intent<'p> {
    let ranked = findings.domain.first().map(|(_, scores)| scores.ranked.as_slice()).unwrap_or_default();
    let (model, score, reason) = match ranked.first() {
        Some((category, confidence)) => by_best(policy, ranked, category, *confidence)
            .unwrap_or_else(|| low_confidence(policy, default, category, *confidence)),
        None => (Arc::clone(default), 1.0, RoutingReason::Default),
    };
    let matched = matches!(reason, RoutingReason::Category { .. } | RoutingReason::Group { .. });
    let reasoning = if matched && serves_reasoning(policy, &model) {
        Some(reasoning_on())
    } else {
        // A model with a switch is told; one without keeps what the client wrote.
        model.reasoning_family.is_some().then_some(ReasoningChoice { enabled: false, effort: None })
    };
    let mut candidates = vec![(Arc::clone(&model), score)];
    if model.name != default.name {
        candidates.push((Arc::clone(default), (1.0 - score).max(0.0)));
    }
    let strategy = RoutingStrategy::Auto;
    Intent {
        strategy,
        decision: Arc::from("default"),
        reason,
        candidates,
        reasoning,
        route: None,
        requested_name: None,
    }
}

fn by_best(
    policy: &Policy,
    ranked: &[(Arc<str>, f32)],
    category: &Arc<str>,
    confidence: f32,
) -> Option<(Arc<Model>, f32, RoutingReason)> {
    let serving = |name: &str| policy.models.iter().find(|model| model.category.as_deref() == Some(name));
    if confidence >= policy.category_threshold
        && let Some(model) = serving(category)
    {
        return Some((
            Arc::clone(model),
            confidence,
            RoutingReason::Category { name: Arc::clone(category), confidence },
        ));
    }
    let groups =
        policy.groups.iter().filter_map(|group| Some((group, serving(&group.name)?, mass(group, ranked)?)));
    let (group, model, (sum, category, category_confidence)) =
        groups.max_by(|a, b| a.2.0.total_cmp(&b.2.0))?;
    if sum < policy.category_threshold {
        return None;
    }
    let reason = RoutingReason::Group {
        group: Arc::clone(&group.name),
        confidence: sum,
        category,
        category_confidence,
    };
    Some((Arc::clone(model), sum, reason))
}

/// The probability of all categories of a group, and the most probable of them.
fn mass(group: &Group, ranked: &[(Arc<str>, f32)]) -> Option<(f32, Arc<str>, f32)> {
    let members = || ranked.iter().filter(|(category, _)| group.categories.contains(category));
    let (category, confidence) = members().next()?;
    let sum: f32 = members().map(|(_, confidence)| confidence).sum();
    Some((sum.min(1.0), Arc::clone(category), *confidence))
}

fn low_confidence(
    policy: &Policy,
    default: &Arc<Model>,
    category: &Arc<str>,
    confidence: f32,
) -> (Arc<Model>, f32, RoutingReason) {
    let group = policy.groups.iter().find(|group| group.takes_low_confidence);
    let model = group
        .and_then(|group| policy.models.iter().find(|model| model.category.as_deref() == Some(&group.name)));
    let reason = RoutingReason::LowConfidence {
        category: Arc::clone(category),
        confidence,
        threshold: policy.category_threshold,
    };
    (Arc::clone(model.unwrap_or(default)), 1.0 - confidence, reason)
}

fn serves_reasoning(policy: &Policy, model: &Model) -> bool {
    let Some(category) = model.category.as_deref() else { return false };
    category == REASONING_GROUP
        || policy.groups.iter().any(|group| {
            &*group.name == REASONING_GROUP && group.categories.iter().any(|member| &**member == category)
        })
}

fn reasoning_on() -> ReasoningChoice {
    ReasoningChoice { enabled: true, effort: None }
}
