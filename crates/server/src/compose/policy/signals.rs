//! Signals.

use std::sync::Arc;

use pipeline::policy::{Boundaries, Case, HeaderTest, Keywords, Measure, ShapeTest, Signal, Subject};
use regex::Regex;
use settings::check::signals::{HeaderMatch, Signal as SignalSetting, SignalKind, Subject as SubjectSetting};

use super::single;

pub(super) fn subject(subject: SubjectSetting) -> Subject {
    match subject {
        SubjectSetting::LastUserMessage => Subject::LastUserMessage,
        SubjectSetting::UserAndToolText => Subject::UserAndToolText,
        SubjectSetting::ToolResults => Subject::ToolResults,
        SubjectSetting::Conversation => Subject::Conversation,
    }
}

pub(super) fn signal(signal: &SignalSetting) -> Result<Signal, String> {
    let measure = measure(&signal.kind).map_err(|error| format!("signal {}: {error}", signal.name))?;
    Ok(Signal { name: Arc::from(signal.name.as_str()), subject: subject(signal.subject), measure })
}

fn measure(kind: &SignalKind) -> Result<Measure, String> {
    Ok(match kind {
        SignalKind::Keywords { any, all, regex, case_sensitive, whole_words } => {
            let case = if *case_sensitive { Case::Matters } else { Case::Ignore };
            let boundaries = if *whole_words { Boundaries::WholeWords } else { Boundaries::Anywhere };
            Measure::Keywords(Keywords::new(any, all, regex, case, boundaries)?)
        }
        SignalKind::Domain { domains, takes_low_confidence, min_confidence } => Measure::Domain {
            categories: domains.iter().map(|domain| Arc::from(*domain)).collect(),
            min_confidence: single(*min_confidence),
            takes_low_confidence: *takes_low_confidence,
        },
        SignalKind::Pii { types, threshold } => {
            Measure::Pii { types: types.clone(), threshold: single(*threshold) }
        }
        SignalKind::Jailbreak { threshold } => Measure::Jailbreak { threshold: single(*threshold) },
        SignalKind::Length { min_tokens, max_tokens } => {
            Measure::Length { min_tokens: Some(*min_tokens), max_tokens: Some(*max_tokens) }
        }
        SignalKind::Shape { tools, images, response_format, stream, min_turns, max_turns } => {
            let turns = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
            Measure::Shape(ShapeTest {
                tools: *tools,
                images: *images,
                response_format: *response_format,
                stream: *stream,
                min_turns: Some(turns(*min_turns)),
                max_turns: Some(turns(*max_turns)),
            })
        }
        SignalKind::Header { name, matches } => Measure::Header(header(name, matches)?),
        SignalKind::Principal { names } => {
            Measure::Principal(names.iter().map(|name| Arc::from(name.as_str())).collect())
        }
    })
}

fn header(name: &str, matches: &HeaderMatch) -> Result<HeaderTest, String> {
    let name = Arc::from(name);
    Ok(match matches {
        HeaderMatch::Present => HeaderTest { name, any: Vec::new(), pattern: None },
        HeaderMatch::OneOf(values) => HeaderTest {
            name,
            any: values.iter().map(|value| Arc::from(value.as_str())).collect(),
            pattern: None,
        },
        HeaderMatch::Regex(pattern) => {
            let pattern = Regex::new(pattern).map_err(|error| error.to_string())?;
            HeaderTest { name, any: Vec::new(), pattern: Some(pattern) }
        }
    })
}
