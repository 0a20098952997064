//! Decisions, the built-in ones included.

use std::time::Duration;

use super::{models, net, signals as built_in};
use crate::check::cache::Cache;
use crate::check::decisions::{
    Action, Author, Block, BlockAnswer, BlockReason, Candidate, Decision, Effort, Expression, Mask,
    PromptMode, Reasoning, Route, RouteCache, SystemPrompt,
};
use crate::check::models::Model;
use crate::check::signals::{Signal, SignalIndex, SignalKind};
use crate::raw::decisions as raw;
use crate::report::Report;
use crate::suggest::did_you_mean;

/// The built-in decision that refuses attempts to override instructions.
const BLOCK_JAILBREAK: &str = "block-jailbreak";
/// The built-in decision that masks what no candidate may see.
const MASK_PII: &str = "mask-pii";
const MAX_DEPTH: usize = 32;

/// What decisions refer to.
pub(super) struct Context<'a> {
    pub signals: &'a [Signal],
    pub models: &'a [Model],
    pub cache: &'a Cache,
}

/// Decisions of the file and the built-in ones that it does not replace, highest priority first.
pub(super) fn resolve(raw: Vec<raw::Decision>, context: &Context<'_>, report: &mut Report) -> Vec<Decision> {
    let mut names: Vec<String> = Vec::new();
    let mut decisions = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("decisions[{index}]");
        let name = raw.name.clone().unwrap_or_default();
        if !name.is_empty() && names.contains(&name) {
            report.error(&format!("{path}.name"), format!("two decisions are called {name:?}"));
        }
        let is_built_in = name == BLOCK_JAILBREAK || name == MASK_PII;
        let enabled = raw.enabled.unwrap_or(true);
        names.push(name);
        // To switch a built-in decision off, its name is enough.
        if is_built_in && !enabled && raw.route.is_none() && raw.block.is_none() && raw.mask.is_none() {
            continue;
        }
        decisions.extend(decision(raw, &path, context, report).filter(|_| enabled));
    }
    let kept = built_ins(context).into_iter().filter(|decision| !names.contains(&decision.name));
    decisions.extend(kept);
    decisions.sort_by_key(|decision| std::cmp::Reverse(decision.priority));
    warn_of_unreachable(&decisions, report);
    decisions
}

/// What stands behind a decision that always ends the walk is never reached.
fn warn_of_unreachable(decisions: &[Decision], report: &mut Report) {
    let ends = |decision: &Decision| {
        decision.when == Expression::Always && !matches!(decision.action, Action::Mask(_))
    };
    let Some(last) = decisions.iter().position(ends) else { return };
    let before = &decisions[last].name;
    for decision in &decisions[last + 1..] {
        let name = &decision.name;
        report.warn(
            "decisions",
            format!("{name:?} is never reached: {before:?} stands before it and always holds"),
        );
    }
}

fn built_ins(context: &Context<'_>) -> Vec<Decision> {
    let on = |name: &str, priority, action: &dyn Fn(&Expression) -> Action, decision: &str| {
        let signal = context.signals.iter().position(|signal| signal.name == name)?;
        let when = Expression::Signal(SignalIndex(signal));
        let action = action(&when);
        Some(Decision { name: decision.to_owned(), priority, author: Author::BuiltIn, when, action })
    };
    let refuse = |when: &Expression| Action::Block(block(raw::Block::default(), when, context));
    let mask = |_: &Expression| Action::Mask(Mask::WhatNoCandidateMaySee);
    [on(built_in::JAILBREAK, 1000, &refuse, BLOCK_JAILBREAK), on(built_in::PII, 900, &mask, MASK_PII)]
        .into_iter()
        .flatten()
        .collect()
}

fn decision(raw: raw::Decision, path: &str, context: &Context<'_>, report: &mut Report) -> Option<Decision> {
    let when = match &raw.when {
        Some(when) => expression(when, &format!("{path}.when"), 0, context, report),
        None => Expression::Always,
    };
    let written = [raw.route.is_some(), raw.block.is_some(), raw.mask.is_some()];
    match written.into_iter().filter(|written| *written).count() {
        1 => {}
        0 => report.error(path, "missing what happens: one of route, block and mask"),
        _ => report.error(path, "a decision does one thing; of route, block and mask keep one"),
    }
    let action = if let Some(route) = raw.route {
        Action::Route(self::route(route, &format!("{path}.route"), context, report))
    } else if let Some(block) = raw.block {
        Action::Block(self::block(block, &when, context))
    } else {
        let mask = raw.mask?;
        let types = mask.types.map(|words| {
            if words.is_empty() {
                report.error(
                    &format!("{path}.mask.types"),
                    "missing: at least one type; leave the key out for what no candidate may see",
                );
            }
            models::pii_types(&words, &format!("{path}.mask.types"), report)
        });
        Action::Mask(types.map_or(Mask::WhatNoCandidateMaySee, Mask::Types))
    };
    let priority = raw.priority.unwrap_or(0);
    Some(Decision { name: raw.name?, priority, author: Author::File, when, action })
}

fn expression(
    raw: &raw::Expression,
    path: &str,
    depth: usize,
    context: &Context<'_>,
    report: &mut Report,
) -> Expression {
    if depth > MAX_DEPTH {
        report.refuse(path, format!("an expression has at most {MAX_DEPTH} levels"));
        return Expression::Always;
    }
    let compound = match raw {
        raw::Expression::Signal(name) => return signal(name, path, context, report),
        raw::Expression::Compound(compound) => compound,
    };
    let mut list = |parts: &[raw::Expression], word: &str| -> Vec<Expression> {
        let path = format!("{path}.{word}");
        if parts.is_empty() {
            report.error(&path, "missing: at least one expression");
        }
        let at = |index: usize| format!("{path}[{index}]");
        let parts = parts.iter().enumerate();
        parts.map(|(index, part)| expression(part, &at(index), depth + 1, context, report)).collect()
    };
    match (&compound.any, &compound.all, &compound.not) {
        (Some(parts), None, None) => Expression::Any(list(parts, "any")),
        (None, Some(parts), None) => Expression::All(list(parts, "all")),
        (None, None, Some(part)) => {
            Expression::Not(Box::new(expression(part, &format!("{path}.not"), depth + 1, context, report)))
        }
        _ => {
            report.error(path, "expected the name of a signal, or exactly one of any, all and not");
            Expression::Always
        }
    }
}

fn signal(name: &str, path: &str, context: &Context<'_>, report: &mut Report) -> Expression {
    match context.signals.iter().position(|signal| signal.name == name) {
        Some(index) => Expression::Signal(SignalIndex(index)),
        None => {
            let suggestion = did_you_mean(name, context.signals.iter().map(|signal| signal.name.as_str()));
            report.error(path, format!("no signal is called {name:?}{suggestion}"));
            Expression::Always
        }
    }
}

fn route(raw: raw::Route, path: &str, context: &Context<'_>, report: &mut Report) -> Route {
    let prompt = raw.system_prompt.and_then(|prompt| {
        let text = prompt.text?;
        if text.trim().is_empty() {
            report.error(&format!("{path}.system_prompt.text"), "a system prompt cannot be empty");
        }
        Some(SystemPrompt { mode: prompt.mode.unwrap_or(PromptMode::Prepend), text })
    });
    let (set_headers, remove_headers) = header_changes(raw.headers.unwrap_or_default(), path, report);
    Route {
        candidates: candidates(raw.models, path, context, report),
        reasoning: raw.reasoning.map(reasoning),
        system_prompt: prompt,
        cache: route_cache(&raw.cache.unwrap_or_default(), path, context, report),
        set_headers,
        remove_headers,
    }
}

fn candidates(
    raw: Option<Vec<raw::Candidate>>,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Vec<Candidate> {
    let path = format!("{path}.models");
    if raw.as_ref().is_some_and(Vec::is_empty) {
        report.error(&path, "missing: at least one model");
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let at = format!("{path}[{index}]");
        let (name, weight, score, at) = match raw {
            raw::Candidate::Name(name) => (Some(name), None, None, at),
            raw::Candidate::Block(block) => (block.model, block.weight, block.score, format!("{at}.model")),
        };
        let Some(model) = name.and_then(|name| models::find(&name, context.models, &at, report)) else {
            continue;
        };
        if candidates.iter().any(|candidate| candidate.model == model) {
            report.error(&at, "this model is listed twice");
        }
        candidates.push(Candidate { model, weight: weight.unwrap_or(1), score: score.unwrap_or(0.0) });
    }
    if !candidates.is_empty() && candidates.iter().all(|candidate| candidate.weight == 0) {
        report.error(&path, "every candidate has the weight 0, so none would be chosen");
    }
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates
}

fn reasoning(raw: raw::Reasoning) -> Reasoning {
    use raw::ReasoningWord as Word;
    match raw {
        raw::Reasoning::Switch(true) | raw::Reasoning::Effort(Word::On) => Reasoning::On(None),
        raw::Reasoning::Switch(false) | raw::Reasoning::Effort(Word::Off) => Reasoning::Off,
        raw::Reasoning::Effort(Word::Minimal) => Reasoning::On(Some(Effort::Minimal)),
        raw::Reasoning::Effort(Word::Low) => Reasoning::On(Some(Effort::Low)),
        raw::Reasoning::Effort(Word::Medium) => Reasoning::On(Some(Effort::Medium)),
        raw::Reasoning::Effort(Word::High) => Reasoning::On(Some(Effort::High)),
    }
}

fn route_cache(raw: &raw::RouteCache, path: &str, context: &Context<'_>, report: &mut Report) -> RouteCache {
    let threshold = raw.threshold.unwrap_or(context.cache.threshold);
    if raw.threshold.is_some_and(|threshold| threshold < 1.0) {
        let message =
            "a similarity under 1 is not available in this version; the cache answers the same text only";
        report.error(&format!("{path}.cache.threshold"), message);
    }
    RouteCache {
        enabled: raw.enabled.unwrap_or(context.cache.enabled),
        time_to_live: raw.ttl_seconds.map_or(context.cache.time_to_live, Duration::from_secs),
        threshold,
    }
}

fn header_changes(
    raw: raw::HeaderChanges,
    path: &str,
    report: &mut Report,
) -> (Vec<(String, String)>, Vec<String>) {
    let path = format!("{path}.headers");
    let mut set = Vec::new();
    for (name, value) in raw.set {
        let at = format!("{path}.set.{name}");
        if !net::is_header_value(&value) {
            report.error(&at, "the value has characters that no header can hold");
        }
        match net::settable_header_name(&name) {
            Ok(name) => set.push((name, value)),
            Err(message) => report.error(&at, message),
        }
    }
    let mut remove = Vec::new();
    for (index, name) in raw.remove.iter().enumerate() {
        match net::settable_header_name(name) {
            Ok(name) => remove.push(name),
            Err(message) => report.error(&format!("{path}.remove[{index}]"), message),
        }
    }
    (set, remove)
}

fn block(raw: raw::Block, when: &Expression, context: &Context<'_>) -> Block {
    let reason = reason(when, context.signals);
    let sentence = match reason {
        BlockReason::Jailbreak => {
            "This request was blocked: it looks like an attempt to override the model's instructions."
        }
        BlockReason::Pii => "This request was blocked: it holds personal data that may not be sent.",
        BlockReason::Policy => "This request was blocked by a policy of this service.",
    };
    Block {
        answer: raw.answer.unwrap_or(BlockAnswer::Error),
        reason,
        message: raw.message.unwrap_or_else(|| sentence.to_owned()),
    }
}

/// Why an expression refuses: jailbreak goes before personal data, and that before the rest.
fn reason(when: &Expression, signals: &[Signal]) -> BlockReason {
    let of_kind = |index: SignalIndex| match signals.get(index.0).map(|signal| &signal.kind) {
        Some(SignalKind::Jailbreak { .. }) => BlockReason::Jailbreak,
        Some(SignalKind::Pii { .. }) => BlockReason::Pii,
        _ => BlockReason::Policy,
    };
    match when {
        Expression::Signal(index) => of_kind(*index),
        Expression::Any(parts) | Expression::All(parts) => {
            let reasons: Vec<BlockReason> = parts.iter().map(|part| reason(part, signals)).collect();
            let first = [BlockReason::Jailbreak, BlockReason::Pii]
                .into_iter()
                .find(|wanted| reasons.contains(wanted));
            first.unwrap_or(BlockReason::Policy)
        }
        Expression::Always | Expression::Not(_) => BlockReason::Policy,
    }
}
