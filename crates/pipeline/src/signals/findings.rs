//! What was measured, as the decisions read it. Pure.

use dialects::request::TextId;

use crate::policy::{Measure, Signal, Subject};
use crate::ports::{CategoryScores, JailbreakScore, PiiEntity};
use crate::request::Request;

/// Personal data, by text.
#[derive(Debug, Clone, Default)]
pub struct PiiFindings {
    /// Entities that count (type and threshold of the guard), for each text that has some.
    pub by_text: Vec<(TextId, Vec<PiiEntity>)>,
}

impl PiiFindings {
    /// Distinct types, in order of their first occurrence.
    pub fn types(&self) -> Vec<&'static str> {
        let mut types = Vec::new();
        for entity in self.entities() {
            if !types.contains(&entity.kind) {
                types.push(entity.kind);
            }
        }
        types
    }

    /// Number of places.
    pub fn count(&self) -> u32 {
        u32::try_from(self.entities().count()).unwrap_or(u32::MAX)
    }

    fn entities_in<'a>(
        &'a self,
        subject: Subject,
        request: &'a Request,
    ) -> impl Iterator<Item = &'a PiiEntity> {
        let texts = self.by_text.iter().filter(move |(id, _)| request.is_in(*id, subject));
        texts.flat_map(|(_, entities)| entities)
    }

    fn entities(&self) -> impl Iterator<Item = &PiiEntity> {
        self.by_text.iter().flat_map(|(_, entities)| entities)
    }
}

/// Everything that was measured of one request.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// What the prompt is about, by the text that was read; the first is the one that routes.
    pub domain: Vec<(Subject, CategoryScores)>,
    /// Personal data.
    pub pii: Option<PiiFindings>,
    /// Scores by the text that was read.
    pub jailbreak: Vec<(Subject, JailbreakScore)>,
}

impl Findings {
    /// Whether a signal holds.
    pub fn holds(&self, signal: &Signal, request: &Request) -> bool {
        match &signal.measure {
            Measure::Keywords(keywords) => keywords.found_in(&request.subject(signal.subject)),
            Measure::Domain { categories, min_confidence, takes_low_confidence } => {
                let scores = self.domain.iter().find(|(subject, _)| *subject == signal.subject);
                let best = scores.and_then(|(_, scores)| scores.ranked.first());
                best.is_some_and(|(name, confidence)| {
                    if confidence >= min_confidence {
                        categories.contains(name)
                    } else {
                        *takes_low_confidence
                    }
                })
            }
            Measure::Pii { types, threshold } => self.pii.as_ref().is_some_and(|pii| {
                pii.entities_in(signal.subject, request).any(|entity| {
                    (types.is_empty() || types.contains(&entity.kind)) && entity.confidence >= *threshold
                })
            }),
            Measure::Jailbreak { threshold } => {
                let score = self.jailbreak.iter().find(|(subject, _)| *subject == signal.subject);
                score.is_some_and(|(_, score)| score.confidence >= *threshold)
            }
            Measure::Length { min_tokens, max_tokens } => {
                let tokens = request.estimated_tokens();
                min_tokens.is_none_or(|least| tokens >= least) && max_tokens.is_none_or(|most| tokens <= most)
            }
            Measure::Shape(test) => shape_holds(test, request),
            Measure::Header(test) => request.header(&test.name).any(|value| test.passes(value)),
            Measure::Principal(names) => {
                let principal = &request.principal;
                let is = |name: &str| *name == *principal.name || principal.user.as_deref() == Some(name);
                names.iter().any(|name| is(name))
            }
        }
    }
}

fn shape_holds(test: &crate::policy::ShapeTest, request: &Request) -> bool {
    let facts = request.parsed.facts();
    let shape = &facts.shape;
    test.tools.is_none_or(|wanted| wanted == shape.has_tools)
        && test.images.is_none_or(|wanted| wanted == shape.has_images)
        && test.response_format.is_none_or(|wanted| wanted == shape.has_response_format)
        && test.stream.is_none_or(|wanted| wanted == facts.stream)
        && test.min_turns.is_none_or(|least| shape.user_turns >= least)
        && test.max_turns.is_none_or(|most| shape.user_turns <= most)
}
