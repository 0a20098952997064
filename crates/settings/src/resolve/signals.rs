//! Signals, the built-in ones included.

use regex::RegexBuilder;

use super::{groups, models, net};
use crate::check::groups::Group;
use crate::check::routing::Routing;
use crate::check::signals::{HeaderMatch, Signal, SignalKind, Subject};
use crate::check::vocabulary::PII_TYPES;
use crate::defaults;
use crate::raw::signals as raw;
use crate::report::Report;

/// The built-in signal for attempts to override instructions.
pub(super) const JAILBREAK: &str = "jailbreak";
/// The built-in signal for personal data.
pub(super) const PII: &str = "pii";
/// The most memory that one compiled expression may take.
const REGEX_BYTES: usize = 1024 * 1024;

/// The signals of the file behind the built-in ones; one of the same name stands in the built-in one's place.
pub(super) fn resolve(
    raw: Vec<raw::Signal>,
    groups: &[Group],
    routing: &Routing,
    report: &mut Report,
) -> Vec<Signal> {
    let mut signals = vec![
        Signal {
            name: JAILBREAK.to_owned(),
            subject: Subject::UserAndToolText,
            kind: jailbreak(&raw::Jailbreak::default()),
        },
        Signal {
            name: PII.to_owned(),
            subject: Subject::Conversation,
            kind: pii(&raw::Pii::default(), "", report),
        },
    ];
    let built_in = signals.len();
    let mut replaced = vec![false; built_in];
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("signals[{index}]");
        let Some(signal) = signal(raw, groups, routing, &path, report) else { continue };
        match signals.iter().position(|other| other.name == signal.name) {
            Some(place) if place < built_in && !replaced[place] => {
                replaced[place] = true;
                signals[place] = signal;
            }
            Some(_) => {
                report.error(&format!("{path}.name"), format!("two signals are called {:?}", signal.name));
            }
            None => signals.push(signal),
        }
    }
    signals
}

fn signal(
    raw: raw::Signal,
    groups: &[Group],
    routing: &Routing,
    path: &str,
    report: &mut Report,
) -> Option<Signal> {
    refuse_later_kinds(&raw, path, report);
    let subject = raw.subject;
    let name = raw.name.clone();
    let mut kinds: Vec<(Subject, SignalKind)> = Vec::new();
    if let Some(keywords) = raw.keywords {
        kinds.push((Subject::LastUserMessage, self::keywords(keywords, &format!("{path}.keywords"), report)));
    }
    if let Some(domain) = raw.domain {
        kinds.push((
            routing.subject,
            self::domain(&domain, groups, routing, &format!("{path}.domain"), report),
        ));
    }
    if let Some(pii) = raw.pii {
        kinds.push((Subject::Conversation, self::pii(&pii, &format!("{path}.pii"), report)));
    }
    if let Some(jailbreak) = raw.jailbreak {
        kinds.push((Subject::UserAndToolText, self::jailbreak(&jailbreak)));
    }
    if let Some(length) = raw.length {
        kinds.push((Subject::Conversation, self::length(&length, &format!("{path}.length"), report)));
    }
    if let Some(shape) = raw.shape {
        kinds.push((Subject::Conversation, self::shape(&shape, &format!("{path}.shape"), report)));
    }
    if let Some(header) = raw.header {
        kinds.extend(
            self::header(header, &format!("{path}.header"), report).map(|kind| (Subject::Conversation, kind)),
        );
    }
    if let Some(principal) = raw.principal {
        let names = principal.any.unwrap_or_default();
        kinds.push((Subject::Conversation, SignalKind::Principal { names }));
    }
    if kinds.len() > 1 {
        report.error(
            path,
            "a signal measures one thing; split it, and join the parts with `all` in a decision",
        );
    }
    let Some((default_subject, kind)) = kinds.into_iter().next() else {
        let message = "missing what it measures: one of keywords, domain, pii, jailbreak, length, shape, header, principal";
        report.error(path, message);
        return None;
    };
    Some(Signal { name: name?, subject: subject.unwrap_or(default_subject), kind })
}

/// Kinds that are known but not built yet; said once, instead of "missing what it measures".
fn refuse_later_kinds(raw: &raw::Signal, path: &str, report: &mut Report) {
    let later = [
        ("similarity", raw.similarity.is_some()),
        ("language", raw.language.is_some()),
        ("difficulty", raw.difficulty.is_some()),
        ("classifier", raw.classifier.is_some()),
    ];
    for (kind, _) in later.into_iter().filter(|(_, written)| *written) {
        report.refuse(path, format!("the signal `{kind}` is not available in this version"));
    }
}

fn keywords(raw: raw::Keywords, path: &str, report: &mut Report) -> SignalKind {
    if raw.any.is_empty() && raw.all.is_empty() && raw.regex.is_empty() {
        report.error(path, "missing: at least one of any, all and regex");
    }
    for (list, words) in [("any", &raw.any), ("all", &raw.all)] {
        for index in
            words.iter().enumerate().filter(|(_, word)| word.trim().is_empty()).map(|(index, _)| index)
        {
            report.error(&format!("{path}.{list}[{index}]"), "a keyword cannot be empty");
        }
    }
    let case_sensitive = raw.case_sensitive.unwrap_or(false);
    for (index, expression) in raw.regex.iter().enumerate() {
        regex(expression, &format!("{path}.regex[{index}]"), report);
    }
    SignalKind::Keywords {
        any: raw.any,
        all: raw.all,
        regex: raw.regex,
        case_sensitive,
        whole_words: raw.whole_words.unwrap_or(true),
    }
}

fn regex(expression: &str, path: &str, report: &mut Report) {
    if let Err(error) = RegexBuilder::new(expression).size_limit(REGEX_BYTES).build() {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        report.error(path, format!("not a regular expression that can be used: {reason}"));
    }
}

fn domain(
    raw: &raw::Domain,
    groups: &[Group],
    routing: &Routing,
    path: &str,
    report: &mut Report,
) -> SignalKind {
    let words = raw.any.as_deref().unwrap_or_default();
    if raw.any.is_some() && words.is_empty() {
        report.error(&format!("{path}.any"), "missing: at least one domain or group");
    }
    let mut domains = Vec::new();
    let mut takes_low_confidence = false;
    for (index, word) in words.iter().enumerate() {
        let Some(category) = groups::category(word, groups, &format!("{path}.any[{index}]"), report) else {
            continue;
        };
        takes_low_confidence |= category.takes_low_confidence;
        for domain in category.domains {
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
    }
    let min_confidence = raw.min_confidence.unwrap_or(routing.min_confidence);
    SignalKind::Domain { domains, takes_low_confidence, min_confidence }
}

fn pii(raw: &raw::Pii, path: &str, report: &mut Report) -> SignalKind {
    let types = match &raw.types {
        None => PII_TYPES.to_vec(),
        Some(words) => {
            if words.is_empty() {
                report
                    .error(&format!("{path}.types"), "missing: at least one type; leave the key out for all");
            }
            models::pii_types(words, &format!("{path}.types"), report)
        }
    };
    SignalKind::Pii { types, threshold: raw.threshold.unwrap_or(defaults::PII_THRESHOLD) }
}

fn jailbreak(raw: &raw::Jailbreak) -> SignalKind {
    SignalKind::Jailbreak { threshold: raw.threshold.unwrap_or(defaults::JAILBREAK_THRESHOLD) }
}

fn length(raw: &raw::Length, path: &str, report: &mut Report) -> SignalKind {
    let (min_tokens, max_tokens) = (raw.min_tokens.unwrap_or(0), raw.max_tokens.unwrap_or(u64::MAX));
    if raw.min_tokens.is_none() && raw.max_tokens.is_none() {
        report.error(path, "missing: at least one of min_tokens and max_tokens");
    }
    if min_tokens > max_tokens {
        report.error(
            path,
            format!("min_tokens {min_tokens} is more than max_tokens {max_tokens}: it could never hold"),
        );
    }
    SignalKind::Length { min_tokens, max_tokens }
}

fn shape(raw: &raw::Shape, path: &str, report: &mut Report) -> SignalKind {
    let (min_turns, max_turns) = (raw.min_turns.unwrap_or(0), raw.max_turns.unwrap_or(u32::MAX));
    if min_turns > max_turns {
        report.error(
            path,
            format!("min_turns {min_turns} is more than max_turns {max_turns}: it could never hold"),
        );
    }
    SignalKind::Shape {
        tools: raw.tools,
        images: raw.images,
        response_format: raw.response_format,
        stream: raw.stream,
        min_turns,
        max_turns,
    }
}

fn header(raw: raw::Header, path: &str, report: &mut Report) -> Option<SignalKind> {
    let name = match net::header_name(&raw.name?) {
        Ok(name) => name,
        Err(message) => {
            report.error(&format!("{path}.name"), message);
            return None;
        }
    };
    let matches = match (raw.any.is_empty(), raw.regex) {
        (true, None) => HeaderMatch::Present,
        (false, None) => HeaderMatch::OneOf(raw.any),
        (empty, Some(expression)) => {
            if !empty {
                report.error(path, "either `any` or `regex`, not both");
            }
            regex(&expression, &format!("{path}.regex"), report);
            HeaderMatch::Regex(expression)
        }
    };
    Some(SignalKind::Header { name, matches })
}
