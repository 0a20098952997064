//! Deciding: what becomes of one request. The branches stand here; the stages are straight.

use std::sync::Arc;

use dialects::Dialect;
use dialects::response::ErrorCode;
use trace::finding::{Finding, RoutingDecision, RoutingReason, RoutingStrategy, SecurityAction};
use trace::{Record, Stage};

use crate::decisions::{self, Deciding, Effect, Matched, Unseeable};
use crate::masking::{MaskMap, Masker};
use crate::outcome::{self, Outcome, Plan, Refusal, StorePlan};
use crate::policy::{Block, CacheScope, Policy};
use crate::ports::{PiiEntity, Ports};
use crate::request::Request;
use crate::signals::{self, Findings, Needs};
use crate::stages::cache_lookup::Lookup;
use crate::stages::routing_decision::{Intent, Ranking};
use crate::stages::{cache_lookup, classification, jailbreak_detection, pii_detection, routing_decision};

/// A policy with the ports that it works on. Immutable: a request keeps the pipeline that it began with.
pub struct Pipeline {
    /// What the operator decided.
    pub policy: Policy,
    /// What the pipeline needs from outside.
    pub ports: Ports,
    needs: Needs,
}

impl Pipeline {
    /// Puts a policy and ports together.
    pub fn new(policy: Policy, ports: Ports) -> Pipeline {
        let needs = Needs::of(&policy);
        Pipeline { policy, ports, needs }
    }

    /// Decides what becomes of a request. It has no side effects but the record's, so that it can be replayed.
    pub async fn decide(&self, request: &Request, record: &mut Record) -> Outcome {
        self.decide_with(request, record, Known::Answers).await
    }

    /// Decides as [`Pipeline::decide`] does, but goes on to the choice of a model where the answer is known: for dry runs,
    /// which want to see the whole decision. Whether the answer is known stands in the record.
    pub async fn rehearse(&self, request: &Request, record: &mut Record) -> Outcome {
        self.decide_with(request, record, Known::IsNoted).await
    }

    /// Decides about a request of which only the head can be seen: its prompt is not measured, no decision is matched, no
    /// answer is looked up or remembered, and nothing in it is edited. The default model answers.
    ///
    /// # Errors
    ///
    /// A refusal when there is no model that may answer.
    pub fn decide_unseen(&self, request: &Request, record: &mut Record) -> Result<Plan, Refusal> {
        let nothing = Findings::default();
        let chance = record.trace_id.randomness();
        let planned = routing_decision::intend(&self.policy, request, &nothing, None, None, chance).and_then(
            |mut intent| {
                intent.reason = RoutingReason::Unseen;
                let verdict = Verdict::new(routing_decision::rank(&intent, request, &[]));
                self.route(request, intent, verdict, None, record)
            },
        );
        match planned {
            Ok(mut plan) => {
                plan.choices.iter_mut().for_each(|choice| choice.switch_reasoning = false);
                Ok(plan)
            }
            Err(refusal) => {
                note_refusal(&refusal, record);
                Err(refusal)
            }
        }
    }

    async fn decide_with(&self, request: &Request, record: &mut Record, known: Known) -> Outcome {
        match self.decided(request, record, known).await {
            Ok(outcome) => outcome,
            Err(refusal) => {
                note_refusal(&refusal, record);
                Outcome::Refuse(refusal)
            }
        }
    }

    async fn decided(
        &self,
        request: &Request,
        record: &mut Record,
        known: Known,
    ) -> Result<Outcome, Refusal> {
        self.readable(request)?;
        let findings = self.measured(request, record).await?;
        let matched = decisions::matching(&self.policy, request, &findings);
        if let Some(Deciding { effect: Effect::Block(block), .. }) = &matched.deciding {
            return Err(blocked(matched.deciding.as_ref(), block));
        }
        let remembered = self.remembered(request);
        let intent = routing_decision::intend(
            &self.policy,
            request,
            &findings,
            matched.deciding.as_ref(),
            remembered,
            record.trace_id.randomness(),
        )?;
        let verdict = self.verdict(request, &findings, &matched, &intent)?;
        let mut store = None;
        if self.may_be_shared(&findings, &verdict) {
            let lookup = cache_lookup::run(&self.policy, &intent, request, &self.ports.cache, record).await?;
            if let Some(Lookup { plan, hit }) = lookup {
                store = Some(plan);
                if let (Some(hit), Known::Answers) = (hit, known) {
                    return Ok(Outcome::Answer(hit));
                }
            }
        }
        let plan = self.route(request, intent, verdict, store, record)?;
        Ok(Outcome::Forward(plan))
    }

    /// Refuses a prompt that the checks cannot read, where they are asked for.
    fn readable(&self, request: &Request) -> Result<(), Refusal> {
        let hidden =
            request.parsed.facts().shape.has_token_ids && request.parsed.dialect() == Dialect::Completions;
        if !hidden || self.needs.jailbreak.is_empty() {
            return Ok(());
        }
        let message =
            "The prompt is given as token numbers, which this router cannot check. Send it as text.";
        Err(Refusal { param: Some("prompt"), ..Refusal::new(ErrorCode::InvalidRequest, message) })
    }

    /// Measures side by side, then records in a fixed order.
    async fn measured(&self, request: &Request, record: &mut Record) -> Result<Findings, Refusal> {
        let guards = &self.policy.guards;
        let measured = signals::measure(request, &self.needs, &self.ports, guards.time_limit).await;
        // All three are recorded before a failure of one refuses the request: the trace shows what was found.
        let classifier = || self.ports.domain.name();
        let domain =
            classification::record(measured.domain, classifier, guards.on_failure.classification, record);
        let pii = pii_detection::record(measured.pii, guards, record);
        let jailbreak = jailbreak_detection::record(measured.jailbreak, guards, record);
        Ok(Findings { jailbreak: jailbreak?, domain: domain?, pii: pii? })
    }

    /// The model that the conversation has, if this request continues one.
    fn remembered(&self, request: &Request) -> Option<(Arc<str>, &'static str)> {
        let policy = self.policy.conversations;
        if !policy.enabled {
            return None;
        }
        let by = continuation(request, policy.short_follow_up_words)?;
        let model = self.ports.conversations.model_of(request.conversation_key())?;
        Some((model, by))
    }

    /// What personal data has to go before a candidate may see the request.
    fn verdict(
        &self,
        request: &Request,
        findings: &Findings,
        matched: &Matched<'_>,
        intent: &Intent<'_>,
    ) -> Result<Verdict, Refusal> {
        let Some(pii) = findings.pii.as_ref().filter(|pii| pii.count() > 0) else {
            return Ok(Verdict::new(routing_decision::rank(intent, request, &[])));
        };
        let mut hidden = matched.mask_types.clone();
        let visible = |hidden: &[&'static str]| -> Vec<&'static str> {
            pii.types().into_iter().filter(|kind| !hidden.contains(kind)).collect()
        };
        let mut ranking = routing_decision::rank(intent, request, &visible(&hidden));
        let rejected_for_pii = ranking.rejected.iter().any(|(_, why)| *why == "pii");
        if ranking.candidates.is_empty() && rejected_for_pii {
            match matched.unseeable {
                Unseeable::Mask => {
                    hidden.extend(unseeable_types(intent, &visible(&hidden)));
                    ranking = routing_decision::rank(intent, request, &visible(&hidden));
                }
                Unseeable::Refuse => return Err(pii_refusal(&pii.types())),
            }
        }
        let mut verdict = Verdict::new(ranking);
        let mut masker = Masker::default();
        for (id, entities) in &pii.by_text {
            let masked: Vec<PiiEntity> =
                entities.iter().filter(|entity| hidden.contains(&entity.kind)).copied().collect();
            if let (false, Some(view)) = (masked.is_empty(), request.parsed.text(*id)) {
                verdict.masked_texts.push((*id, masker.mask(&view.text, &masked)));
            }
        }
        verdict.masks = masker.into_map();
        Ok(verdict)
    }

    /// Whether an answer may be given to others, within the cache's scope: one with placeholders is good for one caller
    /// only, and personal data is never shared by all.
    fn may_be_shared(&self, findings: &Findings, verdict: &Verdict) -> bool {
        let personal = findings.pii.as_ref().is_some_and(|pii| pii.count() > 0);
        let shared_by_all = self.policy.cache.scope == CacheScope::Global;
        verdict.masks.is_empty() && !(personal && shared_by_all) && !verdict.ranking.candidates.is_empty()
    }

    /// Records the choice and makes the plan.
    fn route(
        &self,
        request: &Request,
        intent: Intent<'_>,
        verdict: Verdict,
        store: Option<StorePlan>,
        record: &mut Record,
    ) -> Result<Plan, Refusal> {
        let index = record.begin(Stage::RoutingDecision);
        let Verdict { ranking, masked_texts, masks } = verdict;
        let choices: Vec<_> = ranking
            .candidates
            .iter()
            .map(|(model, _)| routing_decision::choice(&intent, model, request))
            .collect();
        if !masks.is_empty() {
            pii_detection::set_action(record, SecurityAction::Masked);
        }
        let refusal = choices.is_empty().then(|| unanswerable(&ranking));
        let first = choices.first();
        let finding = RoutingDecision {
            strategy: intent.strategy,
            decision: Arc::clone(&intent.decision),
            reason: intent.reason.clone(),
            original_model: record.request.original_model.clone(),
            selected_model: first.map(|choice| Arc::clone(&choice.name)),
            candidates: ranking
                .candidates
                .iter()
                .map(|(model, score)| (Arc::clone(&model.name), *score))
                .collect(),
            rejected: ranking.rejected,
            reasoning: first.map(|choice| choice.reasoning.clone()).unwrap_or_default(),
        };
        record.end(index, Finding::RoutingDecision(Box::new(finding)));
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let specified = intent.strategy == RoutingStrategy::Specified;
        Ok(Plan {
            // A client that names a model gets that model or an error.
            choices: if specified { choices.into_iter().take(1).collect() } else { choices },
            system_prompt: intent.route.and_then(|route| route.system_prompt.clone()),
            masked_texts,
            masks,
            headers: intent.route.map(|route| route.headers.clone()).unwrap_or_default(),
            store,
            max_attempts: self.policy.failover.max_attempts,
        })
    }
}

/// What follows from a known answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It answers the request.
    Answers,
    /// It is noted, and deciding goes on.
    IsNoted,
}

/// What has to be hidden, and who may answer then.
struct Verdict {
    ranking: Ranking,
    masked_texts: Vec<(dialects::request::TextId, String)>,
    masks: MaskMap,
}

impl Verdict {
    fn new(ranking: Ranking) -> Verdict {
        Verdict { ranking, masked_texts: Vec::new(), masks: MaskMap::default() }
    }
}

/// How a request continues a conversation: a tool's result, the same session, or a short follow-up.
fn continuation(request: &Request, short_follow_up_words: usize) -> Option<&'static str> {
    if request.parsed.ends_with_tool_result() {
        return Some("tool_result");
    }
    if request.parsed.facts().previous_response_id.is_some() {
        return Some("previous_response");
    }
    if request.session.is_some() {
        return Some("session");
    }
    let later = request.parsed.facts().shape.user_turns > 1;
    let words = request.parsed.last_user_text().split_whitespace().take(short_follow_up_words + 1).count();
    (later && words <= short_follow_up_words).then_some("follow_up")
}

/// The types that have to be masked so that the first candidate that speaks at all may see the rest.
fn unseeable_types(intent: &Intent<'_>, visible: &[&'static str]) -> Vec<&'static str> {
    let Some((model, _)) = intent.candidates.first() else { return Vec::new() };
    visible.iter().copied().filter(|kind| !model.pii.allows(kind)).collect()
}

fn blocked(deciding: Option<&Deciding<'_>>, block: &Block) -> Refusal {
    let about_jailbreak = deciding.is_some_and(|deciding| deciding.about_jailbreak);
    let about_pii = deciding.is_some_and(|deciding| deciding.about_pii);
    let (code, sentence) = if about_jailbreak {
        let sentence = "The request was blocked: it looks like an attempt to override the model's instructions. Rephrase it without such instructions.";
        (ErrorCode::JailbreakDetected, sentence)
    } else if about_pii {
        let sentence =
            "The request was blocked: it holds personal data that may not be sent. Remove it and try again.";
        (ErrorCode::PiiBlocked, sentence)
    } else {
        let sentence = "The request was blocked by a rule of this router. Ask its operator if you think that it should pass.";
        (ErrorCode::RequestBlocked, sentence)
    };
    Refusal {
        code,
        message: block.message.as_deref().unwrap_or(sentence).to_owned(),
        param: None,
        answer: block.answer,
        decision: deciding.map(|deciding| Arc::clone(deciding.name)),
    }
}

fn pii_refusal(types: &[&'static str]) -> Refusal {
    let types = types.join(", ");
    let message = format!(
        "The request was blocked: it holds personal data ({types}) that no model may see. Remove it and try again."
    );
    Refusal::new(ErrorCode::PiiBlocked, message)
}

/// No candidate is left: the reason that most of them share is the client's answer.
fn unanswerable(ranking: &Ranking) -> Refusal {
    let all = |wanted: &str| ranking.rejected.iter().all(|(_, why)| *why == wanted);
    let names = ranking.rejected.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ");
    if all("not_allowed") {
        let message = format!(
            "This API key may not use the model that would answer ({names}). Ask the router's operator."
        );
        return Refusal::new(ErrorCode::ModelNotAllowed, message);
    }
    if all("pii") {
        return pii_refusal(&[]);
    }
    if all("context_length") {
        let message = format!(
            "The request is longer than the context of every model that could answer ({names}). Shorten it or lower max_tokens."
        );
        return Refusal { param: Some("messages"), ..Refusal::new(ErrorCode::InvalidRequest, message) };
    }
    let each =
        ranking.rejected.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join(", ");
    Refusal::new(
        ErrorCode::NoBackend,
        format!("No model can answer this request ({each}). Ask the router's operator."),
    )
}

fn note_refusal(refusal: &Refusal, record: &mut Record) {
    record.refusal = Some(refusal.code.as_str());
    record.refused_by = refusal.decision.clone();
    match refusal.code {
        ErrorCode::JailbreakDetected => jailbreak_detection::set_action(record, SecurityAction::Blocked),
        ErrorCode::PiiBlocked => pii_detection::set_action(record, SecurityAction::Blocked),
        _ => {}
    }
    if outcome::is_fault(refusal.code) && record.fault.is_none() {
        record.fail(refusal.code.as_str(), refusal.text());
    }
}
