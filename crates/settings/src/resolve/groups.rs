//! Groups of domains, the built-in ones included.

use std::collections::BTreeMap;

use crate::check::groups::Group;
use crate::check::models::Category;
use crate::check::vocabulary::DOMAINS;
use crate::report::Report;
use crate::suggest::did_you_mean;

/// The group whose models also answer prompts of low confidence.
const GENERAL: &str = "general";
const REASONING: &str = "reasoning";
const REASONING_DOMAINS: [&str; 5] = ["math", "physics", "chemistry", "engineering", "computer science"];

/// The groups of the file over the built-in ones. `general` is whatever `reasoning` leaves, unless the file lists it.
pub(super) fn resolve(raw: BTreeMap<String, Vec<String>>, report: &mut Report) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for (name, words) in raw {
        let path = format!("groups.{name}");
        if DOMAINS.contains(&name.as_str()) {
            report.error(&path, "a group cannot have the name of a domain");
        }
        if words.is_empty() {
            report.error(&path, "a group needs at least one domain");
        }
        let mut domains = Vec::new();
        for (index, word) in words.iter().enumerate() {
            match domain(word) {
                Some(domain) if !domains.contains(&domain) => domains.push(domain),
                Some(_) => {}
                None => {
                    let suggestion = did_you_mean(word, DOMAINS);
                    report.error(
                        &format!("{path}[{index}]"),
                        format!("no domain is called {word:?}{suggestion}"),
                    );
                }
            }
        }
        groups.insert(name, domains);
    }
    let reasoning = groups.entry(REASONING.to_owned()).or_insert_with(|| REASONING_DOMAINS.to_vec()).clone();
    let rest = || DOMAINS.iter().copied().filter(|domain| !reasoning.contains(domain)).collect();
    groups.entry(GENERAL.to_owned()).or_insert_with(rest);
    groups
        .into_iter()
        .map(|(name, domains)| Group { takes_low_confidence: name == GENERAL, name, domains })
        .collect()
}

/// The domain that `word` names; `_`, `-` and case do not matter.
pub(super) fn domain(word: &str) -> Option<&'static str> {
    let word = word.trim().to_lowercase().replace(['_', '-'], " ");
    DOMAINS.into_iter().find(|domain| *domain == word)
}

/// The domain or group that `word` names; a problem at `path` where there is none.
pub(super) fn category(word: &str, groups: &[Group], path: &str, report: &mut Report) -> Option<Category> {
    if let Some(domain) = domain(word) {
        return Some(Category {
            name: domain.to_owned(),
            domains: vec![domain],
            takes_low_confidence: false,
        });
    }
    let Some(group) = groups.iter().find(|group| group.name == word) else {
        let known = DOMAINS.into_iter().chain(groups.iter().map(|group| group.name.as_str()));
        let suggestion = did_you_mean(word, known);
        report.error(path, format!("no domain or group is called {word:?}{suggestion}"));
        return None;
    };
    Some(Category {
        name: group.name.clone(),
        domains: group.domains.clone(),
        takes_low_confidence: group.takes_low_confidence,
    })
}
