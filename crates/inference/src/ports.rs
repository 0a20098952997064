//! The built-in intelligence behind the pipeline's ports: the only part of this crate that knows the pipeline.

use std::sync::Arc;

use crate::domain::DomainClassifier as BuiltInDomains;
use crate::jailbreak::JailbreakDetector as BuiltInJailbreaks;
use crate::pii::PiiRecognizers;
use pipeline::ports::{
    CategoryScores, Deadline, DomainClassifier, JailbreakDetector, JailbreakScore, PiiEntity, PiiRecognizer,
    PortFailure,
};

/// The domain classifier that is compiled in.
pub struct Domains {
    built_in: &'static BuiltInDomains,
    name: Arc<str>,
    names: Vec<Arc<str>>,
}

/// The jailbreak detector that is compiled in.
pub struct Jailbreaks(&'static BuiltInJailbreaks);

/// The PII recognisers that are compiled in.
pub struct Pii(&'static PiiRecognizers);

impl Domains {
    /// Loads the model.
    pub fn load() -> Domains {
        let built_in = BuiltInDomains::built_in();
        let names = crate::domain::Domain::ALL.iter().map(|domain| Arc::from(domain.as_str())).collect();
        Domains { built_in, name: Arc::from(built_in.name()), names }
    }
}

impl Jailbreaks {
    /// Loads the model.
    pub fn load() -> Jailbreaks {
        Jailbreaks(BuiltInJailbreaks::built_in())
    }
}

impl Pii {
    /// Compiles the recognisers.
    pub fn load() -> Pii {
        Pii(PiiRecognizers::built_in())
    }
}

impl DomainClassifier for Domains {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn classify(&self, text: &str) -> Result<CategoryScores, PortFailure> {
        let scores = self.built_in.classify(text);
        let mut ranked: Vec<(Arc<str>, f32)> = scores
            .iter()
            .zip(&self.names)
            .map(|((_, probability), name)| (Arc::clone(name), probability))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(CategoryScores { ranked })
    }
}

impl JailbreakDetector for Jailbreaks {
    fn detect(&self, text: &str, deadline: &mut Deadline) -> Result<JailbreakScore, PortFailure> {
        let finding = self.0.detect_with_leave(text, &mut |bytes| deadline.check(bytes))?;
        Ok(JailbreakScore {
            confidence: finding.score,
            kind: finding.kind.as_str(),
            patterns: finding.patterns,
        })
    }
}

impl PiiRecognizer for Pii {
    fn find(&self, text: &str, deadline: &mut Deadline) -> Result<Vec<PiiEntity>, PortFailure> {
        let found = self.0.find_with_leave(text, &mut |bytes| deadline.check(bytes))?;
        let entities = found.into_iter().map(|entity| PiiEntity {
            kind: entity.kind.as_str(),
            start: entity.start,
            end: entity.end,
            confidence: entity.confidence,
        });
        Ok(entities.collect())
    }
}
