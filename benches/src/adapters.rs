//! The built-in intelligence behind the pipeline's ports, as the server composes it.

use std::sync::Arc;

use inference::domain::{Domain, DomainClassifier as BuiltInDomains};
use inference::jailbreak::JailbreakDetector as BuiltInJailbreaks;
use inference::pii::PiiRecognizers;
use pipeline::ports::{
    CategoryScores, DomainClassifier, JailbreakDetector, JailbreakScore, PiiEntity, PiiRecognizer,
    PortFailure,
};

pub(crate) struct Domains {
    built_in: &'static BuiltInDomains,
    name: Arc<str>,
    names: Vec<Arc<str>>,
}

pub(crate) struct Jailbreaks(&'static BuiltInJailbreaks);

pub(crate) struct Pii(&'static PiiRecognizers);

impl Domains {
    pub(crate) fn load() -> Domains {
        let built_in = BuiltInDomains::built_in();
        let names = Domain::ALL.iter().map(|domain| Arc::from(domain.as_str())).collect();
        Domains { built_in, name: Arc::from(built_in.name()), names }
    }
}

impl Jailbreaks {
    pub(crate) fn load() -> Jailbreaks {
        Jailbreaks(BuiltInJailbreaks::built_in())
    }
}

impl Pii {
    pub(crate) fn load() -> Pii {
        Pii(PiiRecognizers::built_in())
    }
}

impl DomainClassifier for Domains {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn classify(&self, text: &str) -> Result<CategoryScores, PortFailure> {
        let scores = self.built_in.classify(text);
        let named = scores.iter().zip(&self.names);
        let mut ranked: Vec<_> =
            named.map(|((_, probability), name)| (Arc::clone(name), probability)).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(CategoryScores { ranked })
    }
}

impl JailbreakDetector for Jailbreaks {
    fn detect(&self, text: &str) -> Result<JailbreakScore, PortFailure> {
        let finding = self.0.detect(text);
        Ok(JailbreakScore {
            confidence: finding.score,
            kind: finding.kind.as_str(),
            patterns: finding.patterns,
        })
    }
}

impl PiiRecognizer for Pii {
    fn find(&self, text: &str) -> Result<Vec<PiiEntity>, PortFailure> {
        let entities = self.0.find(text).into_iter().map(|entity| PiiEntity {
            kind: entity.kind.as_str(),
            start: entity.start,
            end: entity.end,
            confidence: entity.confidence,
        });
        Ok(entities.collect())
    }
}
