//! Decisions.

use std::sync::Arc;

use dialects::edit::SystemPromptMode;
use pipeline::policy::{
    Action, Block, BlockAnswer, CacheOverride, Candidate, Decision, Expression, HeaderChanges,
    ReasoningChoice, Route, SystemPrompt,
};
use settings::check::decisions as setting;

use super::single;

pub(super) fn decision(decision: &setting::Decision) -> Decision {
    Decision {
        name: Arc::from(decision.name.as_str()),
        when: expression(&decision.when),
        action: match &decision.action {
            setting::Action::Route(route) => Action::Route(self::route(route)),
            setting::Action::Block(block) => Action::Block(self::block(block)),
            setting::Action::Mask(setting::Mask::WhatNoCandidateMaySee) => Action::Mask(None),
            setting::Action::Mask(setting::Mask::Types(types)) => Action::Mask(Some(types.clone())),
        },
    }
}

fn expression(expression: &setting::Expression) -> Expression {
    let each = |parts: &[setting::Expression]| parts.iter().map(self::expression).collect();
    match expression {
        setting::Expression::Always => Expression::Always,
        setting::Expression::Signal(index) => Expression::Signal(index.0),
        setting::Expression::Any(parts) => Expression::Any(each(parts)),
        setting::Expression::All(parts) => Expression::All(each(parts)),
        setting::Expression::Not(part) => Expression::Not(Box::new(self::expression(part))),
    }
}

fn block(block: &setting::Block) -> Block {
    Block {
        answer: match block.answer {
            setting::BlockAnswer::Error => BlockAnswer::Error,
            setting::BlockAnswer::Completion => BlockAnswer::Completion,
        },
        message: Some(Arc::from(block.message.as_str())),
    }
}

fn route(route: &setting::Route) -> Route {
    let name = |name: &String| Arc::from(name.as_str());
    Route {
        candidates: route
            .candidates
            .iter()
            .map(|candidate| Candidate {
                model: candidate.model.0,
                score: single(candidate.score),
                weight: candidate.weight,
            })
            .collect(),
        reasoning: route.reasoning.map(reasoning),
        system_prompt: route.system_prompt.as_ref().map(|prompt| SystemPrompt {
            mode: match prompt.mode {
                setting::PromptMode::Replace => SystemPromptMode::Replace,
                setting::PromptMode::Prepend => SystemPromptMode::Prepend,
            },
            text: Arc::from(prompt.text.as_str()),
        }),
        cache: CacheOverride { enabled: Some(route.cache.enabled), ttl: Some(route.cache.time_to_live) },
        headers: HeaderChanges {
            set: route
                .set_headers
                .iter()
                .map(|(key, value)| (name(key), Arc::from(value.as_str())))
                .collect(),
            remove: route.remove_headers.iter().map(name).collect(),
        },
    }
}

fn reasoning(reasoning: setting::Reasoning) -> ReasoningChoice {
    match reasoning {
        setting::Reasoning::Off => ReasoningChoice { enabled: false, effort: None },
        setting::Reasoning::On(effort) => {
            ReasoningChoice { enabled: true, effort: effort.map(|effort| Arc::from(effort.as_str())) }
        }
    }
}
