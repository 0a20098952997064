//! `explain`: which model would answer a prompt, and why. The pipeline decides as it would for a request; nothing is
//! forwarded, remembered or exported.

use std::sync::Arc;

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use pipeline::outcome::{Outcome, Refusal};
use pipeline::policy::{Action, Expression, Policy};
use pipeline::request::{Principal, Request};
use settings::Loaded;
use telemetry::stdout::{Style, tree};
use trace::finding::Finding;
use trace::sampling::SamplingVerdict;
use trace::{Clock, Door, Record, RequestFacts, Text};

use super::{Failure, load, runtime, say};
use crate::cli::{Configuration, Explain};
use crate::compose;

pub(crate) fn run(configuration: &Configuration, options: &Explain) -> Result<(), Failure> {
    let loaded = load(configuration)?;
    let policy = compose::policy::build(&loaded.settings, &loaded.version).map_err(Failure::Configuration)?;
    let resources = compose::Resources::new(&loaded.settings);
    let pipeline = compose::pipeline(policy, &resources);
    let body =
        serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": options.prompt}]});
    let parsed = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body.to_string()))
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let request = Request { parsed, principal: Principal::anonymous(), session: None, headers: Vec::new() };
    let mut record = record(&loaded);
    let outcome = runtime()?.block_on(pipeline.decide(&request, &mut record));
    say(&explanation(&record, &outcome, &pipeline.policy));
    if options.trace {
        say("");
        say(&tree(&record, Style::for_stream(&std::io::stdout())));
    }
    say("");
    say(&decisions(&pipeline.policy, &loaded));
    Ok(())
}

fn record(loaded: &Loaded) -> Record {
    let path = "/v1/chat/completions";
    let facts = RequestFacts {
        original_model: Some(Text::trusted("auto")),
        config_version: Arc::from(loaded.version.as_str()),
        ..RequestFacts::new(Text::trusted("explain"), Door::Http, "POST", Text::trusted(path), path)
    };
    Record::new(Clock::start(), None, SamplingVerdict { sampled: false, reason: "always_off" }, facts)
}

fn explanation(record: &Record, outcome: &Outcome, policy: &Policy) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, text: String| lines.push(format!("{name:<11} {text}"));
    match outcome {
        Outcome::Refuse(Refusal { code, message, decision, .. }) => {
            line("Outcome", format!("refused: {} — {message}", code.as_str()));
            if let Some(decision) = decision {
                line("Decision", decision.to_string());
            }
        }
        Outcome::Answer(_) => line("Outcome", "answered from the cache".to_owned()),
        Outcome::Forward(_) => line("Outcome", "forwarded".to_owned()),
    }
    for span in record.spans() {
        match &span.finding {
            Finding::Classification(found) => line(
                "Category",
                format!(
                    "{} ({:.2}), then {} ({:.2}); needed to route: {:.2}",
                    found.category,
                    found.confidence,
                    found.second_category,
                    found.second_confidence,
                    policy.category_threshold
                ),
            ),
            Finding::PiiDetection(found) if found.count == 0 => line("Personal", "nothing found".to_owned()),
            Finding::PiiDetection(found) => {
                line(
                    "Personal",
                    format!("{} ({}): {}", found.types.join(", "), found.count, found.action.as_str()),
                );
            }
            Finding::JailbreakDetection(found) => line(
                "Jailbreak",
                format!(
                    "{:.2}, threshold {:.2}: {}{}",
                    found.confidence,
                    policy.guards.jailbreak_threshold,
                    found.action.as_str(),
                    found.kind.map(|kind| format!(" ({kind})")).unwrap_or_default()
                ),
            ),
            Finding::RoutingDecision(found) => {
                line("Decision", found.decision.to_string());
                let model = found.selected_model.as_deref().unwrap_or("none");
                let switch = if found.reasoning.enabled { "on" } else { "off" };
                let family = match (&found.reasoning.family, found.reasoning.enabled) {
                    (Some(family), _) => format!(" (family {family})"),
                    (None, _) => " (the model has no reasoning_family, so nothing is switched)".to_owned(),
                };
                line("Model", format!("{model}, reasoning {switch}{family}"));
                line("Because", found.reason.sentence(model));
                let ranked: Vec<String> =
                    found.candidates.iter().map(|(model, score)| format!("{model} {score:.2}")).collect();
                line("Candidates", ranked.join(", "));
                let rejected: Vec<String> =
                    found.rejected.iter().map(|(model, why)| format!("{model} ({why})")).collect();
                if !rejected.is_empty() {
                    line("Rejected", rejected.join(", "));
                }
            }
            _ => {}
        }
    }
    lines.join("\n")
}

/// The decisions in the order in which they are tried, the built-in ones included.
fn decisions(policy: &Policy, loaded: &Loaded) -> String {
    use settings::check::decisions::Author;
    let mut lines = vec!["Decisions, in the order in which they are tried:".to_owned()];
    for (decision, setting) in policy.decisions.iter().zip(&loaded.settings.decisions) {
        let author = if setting.author == Author::BuiltIn { " (built in)" } else { "" };
        let action = match &decision.action {
            Action::Route(route) => {
                let names =
                    route.candidates.iter().filter_map(|candidate| policy.models.get(candidate.model));
                format!("route to {}", names.map(|model| &*model.name).collect::<Vec<_>>().join(", "))
            }
            Action::Block(_) => "block".to_owned(),
            Action::Mask(None) => "mask what no candidate may see".to_owned(),
            Action::Mask(Some(types)) => format!("mask {}", types.join(", ")),
        };
        let when = condition(&decision.when, policy);
        lines.push(format!("  {:>5}  {}{author}: when {when}, {action}", setting.priority, decision.name));
    }
    lines.push("  Else the model whose category or group fits, else the default model.".to_owned());
    lines.join("\n")
}

fn condition(expression: &Expression, policy: &Policy) -> String {
    let each = |parts: &[Expression], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| condition(part, policy)).collect();
        format!("({})", parts.join(word))
    };
    match expression {
        Expression::Always => "always".to_owned(),
        Expression::Signal(index) => {
            policy.signals.get(*index).map_or_else(String::new, |signal| signal.name.to_string())
        }
        Expression::Any(parts) => each(parts, " or "),
        Expression::All(parts) => each(parts, " and "),
        Expression::Not(part) => format!("not {}", condition(part, policy)),
    }
}
