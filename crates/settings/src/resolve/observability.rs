//! Traces, logs and metrics, with the standard variables of OpenTelemetry.

use std::collections::BTreeMap;

use super::environment::{self, Chooser};
use super::{exporters, net, sampling};
use crate::check::observability::{
    AttributeMapping, ContentCapture, LogFormat, LogLevel, Logs, Metrics, Observability, Propagator,
    Resource, SpanLimits, Tracing, TrustIncoming,
};
use crate::defaults;
use crate::environment::Environment;
use crate::load::Origin;
use crate::raw::observability as raw;
use crate::report::Report;

const TRACING: &str = "observability.tracing";

pub(super) fn resolve(
    raw: raw::Observability,
    environment: &Environment,
    report: &mut Report,
) -> (Observability, Vec<Origin>) {
    environment::warn_of_unused(environment, report);
    let mut chooser = Chooser { environment, report, origins: Vec::new() };
    let tracing = tracing(raw.tracing.unwrap_or_default(), &mut chooser);
    let logs = raw.logs.unwrap_or_default();
    let metrics = raw.metrics.unwrap_or_default();
    let observability = Observability {
        tracing,
        logs: Logs {
            format: logs.format.unwrap_or(LogFormat::Text),
            level: logs.level.unwrap_or(LogLevel::Info),
        },
        metrics: Metrics { enabled: metrics.enabled.unwrap_or(true), legacy: metrics.legacy.unwrap_or(true) },
    };
    (observability, chooser.origins)
}

fn tracing(raw: raw::Tracing, chooser: &mut Chooser<'_>) -> Tracing {
    let at = |key: &str| format!("{TRACING}.{key}");
    let switch = |text: &str| environment::boolean(text).map(|disabled| !disabled);
    let enabled = chooser.choose(&at("enabled"), raw.enabled, &["OTEL_SDK_DISABLED"], switch, true);
    let resource = resource(raw.resource.unwrap_or_default(), chooser);
    let content = content(raw.capture_content, chooser);
    let destinations = exporters::resolve(raw.exporter, content, chooser);
    let sampling =
        sampling::resolve(raw.sampling.unwrap_or_default(), &resource.deployment_environment, chooser);
    let default = vec![Propagator::TraceContext, Propagator::Baggage];
    let propagators =
        chooser.choose(&at("propagators"), raw.propagators, &["OTEL_PROPAGATORS"], propagators, default);
    Tracing {
        enabled,
        destinations,
        sampling,
        resource,
        trust_incoming: raw.trust_incoming.unwrap_or(TrustIncoming::Parent),
        propagators,
        attributes: attributes(raw.attributes.unwrap_or_default(), chooser.report),
        limits: limits(&raw.limits.unwrap_or_default(), chooser),
    }
}

/// Whether prompts and answers are recorded. The file has no key for OpenInference's `HIDE` variables, so they always hold.
fn content(written: Option<bool>, chooser: &mut Chooser<'_>) -> ContentCapture {
    const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let setting = format!("{TRACING}.capture_content");
    let capture = chooser.choose(&setting, written, &[CAPTURE], environment::boolean, false);
    let hidden = hidden(chooser.environment);
    ContentCapture { inputs: capture && !hidden.inputs, outputs: capture && !hidden.outputs }
}

/// What OpenInference's variables hide.
pub(super) fn hidden(environment: &Environment) -> ContentCapture {
    let hides = |names: &[&str]| {
        names
            .iter()
            .any(|name| environment.filled(name).is_some_and(|text| environment::boolean(text) == Ok(true)))
    };
    ContentCapture {
        inputs: hides(&[
            "OPENINFERENCE_HIDE_INPUTS",
            "OPENINFERENCE_HIDE_INPUT_MESSAGES",
            "OPENINFERENCE_HIDE_INPUT_TEXT",
            "OPENINFERENCE_HIDE_PROMPTS",
        ]),
        outputs: hides(&[
            "OPENINFERENCE_HIDE_OUTPUTS",
            "OPENINFERENCE_HIDE_OUTPUT_MESSAGES",
            "OPENINFERENCE_HIDE_OUTPUT_TEXT",
            "OPENINFERENCE_HIDE_CHOICES",
        ]),
    }
}

fn propagators(text: &str) -> Result<Vec<Propagator>, String> {
    let mut list = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let propagator = match word {
            "tracecontext" => Propagator::TraceContext,
            "baggage" => Propagator::Baggage,
            "b3" => Propagator::B3,
            "b3multi" => Propagator::B3Multi,
            "jaeger" => Propagator::Jaeger,
            "none" => return Ok(Vec::new()),
            _ => return Err("tracecontext, baggage, b3, b3multi, jaeger or none".to_owned()),
        };
        if !list.contains(&propagator) {
            list.push(propagator);
        }
    }
    Ok(list)
}

fn resource(raw: raw::Resource, chooser: &mut Chooser<'_>) -> Resource {
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let at = |key: &str| format!("{TRACING}.resource.{key}");
    let from_variable: BTreeMap<String, String> = chooser
        .optional(&at("attributes"), None, &[ATTRIBUTES], environment::pairs)
        .unwrap_or_default()
        .into_iter()
        .collect();
    let attribute = |names: &[&str]| {
        let found = names.iter().find_map(|name| from_variable.get(*name)).cloned();
        // Chosen by name: the variable as a whole was understood already.
        move |_: &str| found.clone().ok_or_else(String::new)
    };
    let has = |names: &[&str]| names.iter().any(|name| from_variable.contains_key(*name));
    let variable =
        |names: &[&str]| -> &'static [&'static str] { if has(names) { &[ATTRIBUTES] } else { &[] } };
    let name = filled(raw.service_name);
    let service_name = match chooser.environment.filled("OTEL_SERVICE_NAME") {
        Some(_) => chooser.optional(&at("service_name"), name, &["OTEL_SERVICE_NAME"], environment::text),
        None => chooser.optional(
            &at("service_name"),
            name,
            variable(&["service.name"]),
            attribute(&["service.name"]),
        ),
    };
    let mut pick = |key: &str, written: Option<String>, names: &[&str]| {
        chooser.optional(&at(key), filled(written), variable(names), attribute(names))
    };
    let service_version = pick("service_version", raw.service_version, &["service.version"]);
    let service_instance_id = pick("service_instance_id", raw.service_instance_id, &["service.instance.id"]);
    let environment_names = ["deployment.environment.name", "deployment.environment"];
    let deployment_environment =
        pick("deployment_environment", raw.deployment_environment, &environment_names);
    let mut attributes = from_variable.clone();
    attributes.extend(raw.attributes);
    for name in
        ["service.name", "service.version", "service.instance.id"].into_iter().chain(environment_names)
    {
        attributes.remove(name);
    }
    Resource {
        service_name: service_name.unwrap_or_else(|| defaults::SERVICE_NAME.to_owned()),
        service_version: service_version.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
        service_instance_id,
        deployment_environment: deployment_environment
            .unwrap_or_else(|| defaults::DEPLOYMENT_ENVIRONMENT.to_owned()),
        attributes: attributes.into_iter().collect(),
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn attributes(raw: raw::Attributes, report: &mut Report) -> AttributeMapping {
    let path = format!("{TRACING}.attributes");
    let mut name = |written: Option<String>, key: &str, default: &str| {
        let name = written.unwrap_or_else(|| default.to_owned());
        net::header_name(&name).unwrap_or_else(|message| {
            report.error(&format!("{path}.{key}"), message);
            default.to_owned()
        })
    };
    let user_id_header = name(raw.user_id_header, "user_id_header", "x-user-id");
    let session_id_header = name(raw.session_id_header, "session_id_header", "x-session-id");
    let headers = raw.headers.into_iter().map(|(attribute, header)| {
        let header = name(Some(header), &format!("headers.{attribute}"), "x-unset");
        if SECRET_HEADERS.contains(&header.as_str()) {
            return Err((attribute, header));
        }
        Ok((attribute, header))
    });
    let (kept, secret): (Vec<_>, Vec<_>) = headers.partition(Result::is_ok);
    for (attribute, header) in secret.into_iter().filter_map(Result::err) {
        report.error(
            &format!("{path}.headers.{attribute}"),
            format!("{header:?} holds secrets and cannot become an attribute"),
        );
    }
    AttributeMapping {
        headers: kept.into_iter().filter_map(Result::ok).collect(),
        metadata: raw.metadata.into_iter().collect(),
        constants: raw.constants.into_iter().collect(),
        user_id_header,
        session_id_header,
    }
}

/// Headers that never leave by a trace.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key"];

fn limits(raw: &raw::SpanLimits, chooser: &mut Chooser<'_>) -> SpanLimits {
    let mut pick = |key: &str, written: Option<u32>, variables: &[&str], default: u32| {
        let setting = format!("{TRACING}.limits.{key}");
        chooser.choose(&setting, written, variables, environment::number, default)
    };
    SpanLimits {
        attributes: pick(
            "attributes",
            raw.attributes,
            &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"],
            defaults::SPAN_ATTRIBUTES,
        ),
        events: pick("events", raw.events, &["OTEL_SPAN_EVENT_COUNT_LIMIT"], defaults::SPAN_EVENTS),
        links: pick("links", raw.links, &["OTEL_SPAN_LINK_COUNT_LIMIT"], defaults::SPAN_LINKS),
        attribute_bytes: pick(
            "attribute_bytes",
            raw.attribute_bytes,
            &["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
            defaults::ATTRIBUTE_BYTES,
        ),
    }
}
