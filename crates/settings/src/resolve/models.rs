//! Models, their endpoints, and families of reasoning models.

use std::collections::BTreeMap;

use super::{groups, net, upstream};
use crate::check::groups::Group;
use crate::check::models::{
    Credentials, Dialect, Endpoint, FamilyIndex, FamilyKind, Model, ModelIndex, Pricing, ReasoningFamily,
    Usage,
};
use crate::check::upstream::Timeouts;
use crate::check::vocabulary::{PII_TYPES, PII_TYPES_NOT_FOUND};
use crate::raw::models as raw;
use crate::report::Report;
use crate::secret::Secret;
use crate::suggest::did_you_mean;

/// Names by which clients ask for routing, so that no model can have them.
const RESERVED_NAMES: [&str; 2] = ["auto", "MoM"];

pub(super) fn resolve(
    raw: Vec<raw::Model>,
    groups: &[Group],
    families: &[ReasoningFamily],
    timeouts: Timeouts,
    report: &mut Report,
) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("models[{index}]");
        let model = model(raw, &path, groups, families, timeouts, report);
        if RESERVED_NAMES.iter().any(|name| name.eq_ignore_ascii_case(&model.name)) {
            report.error(
                &format!("{path}.name"),
                format!("{:?} is how clients ask for routing; choose another", model.name),
            );
        }
        if !model.name.is_empty() && models.iter().any(|other| other.name == model.name) {
            report.error(&format!("{path}.name"), format!("two models are called {:?}", model.name));
        }
        models.push(model);
    }
    endpoint_names(&models, report);
    models
}

fn model(
    mut raw: raw::Model,
    path: &str,
    groups: &[Group],
    families: &[ReasoningFamily],
    timeouts: Timeouts,
    report: &mut Report,
) -> Model {
    let name = text(raw.name.take(), &format!("{path}.name"), report);
    let category = raw
        .category
        .take()
        .and_then(|word| groups::category(&word, groups, &format!("{path}.category"), report));
    let endpoints = endpoints(&mut raw, path, report);
    let reasoning_family = raw.reasoning_family.take().and_then(|name| {
        let found = families.iter().position(|family| family.name == name);
        if found.is_none() {
            let suggestion = did_you_mean(&name, families.iter().map(|family| family.name.as_str()));
            let message = format!("no reasoning family is called {name:?}{suggestion}");
            report.error(&format!("{path}.reasoning_family"), message);
        }
        found.map(FamilyIndex)
    });
    let dialects = raw.dialects.unwrap_or_else(default_dialects);
    for dialect in dialects.iter().filter(|dialect| matches!(dialect, Dialect::Responses | Dialect::Messages))
    {
        let message =
            format!("{dialect:?} is not available in this version: requests of that API are not taken");
        report.warn(&format!("{path}.dialects"), message);
    }
    if dialects.is_empty() {
        report.error(&format!("{path}.dialects"), "an endpoint speaks at least one");
    }
    Model {
        upstream_name: raw.upstream_name.unwrap_or_else(|| name.clone()),
        name,
        category,
        endpoints,
        provider: raw.provider,
        version: raw.version,
        dialects,
        usage: raw.usage.unwrap_or(Usage::Ask),
        timeouts: upstream::timeouts(raw.timeouts.as_ref(), timeouts),
        max_parallel: raw.limits.and_then(|limits| limits.max_parallel),
        context_length: raw.context_length,
        pricing: raw.pricing.and_then(pricing),
        reasoning_family,
        denied_pii: denied_pii(raw.pii.unwrap_or_default(), path, report),
    }
}

/// The APIs that an endpoint speaks unless the file says otherwise.
pub(super) fn default_dialects() -> Vec<Dialect> {
    vec![Dialect::ChatCompletions, Dialect::Completions, Dialect::Embeddings]
}

fn text(raw: Option<String>, path: &str, report: &mut Report) -> String {
    let text = raw.map(|text| text.trim().to_owned());
    if text.as_deref().is_some_and(|text| text.is_empty() || text.chars().any(char::is_control)) {
        report.error(path, "a name cannot be empty or hold control characters");
    }
    text.unwrap_or_default()
}

fn pricing(raw: raw::Pricing) -> Option<Pricing> {
    let (prompt, completion) = (raw.prompt?, raw.completion?);
    Some(Pricing { prompt, cached: raw.cached.unwrap_or(prompt), completion })
}

fn endpoints(model: &mut raw::Model, path: &str, report: &mut Report) -> Vec<Endpoint> {
    let Some(raw) = model.endpoints.take() else { return Vec::new() };
    let path = format!("{path}.endpoints");
    if raw.is_empty() {
        report.error(&path, "a model needs at least one endpoint");
    } else if raw.iter().all(|endpoint| endpoint.weight == Some(0)) {
        report.error(&path, "every endpoint has the weight 0, so none would be chosen");
    }
    let at = |index: usize| format!("{path}[{index}]");
    raw.into_iter().enumerate().filter_map(|(index, raw)| endpoint(raw, model, &at(index), report)).collect()
}

fn endpoint(raw: raw::Endpoint, model: &raw::Model, path: &str, report: &mut Report) -> Option<Endpoint> {
    let credentials = credentials(&raw, model, path, report);
    let headers = headers([&model.headers, &raw.headers], path, report);
    let prefix = raw.path_prefix.as_deref().or(model.path_prefix.as_deref());
    let path_prefix = path_prefix(prefix.unwrap_or_default(), path, report);
    let name = text(Some(raw.name?), &format!("{path}.name"), report);
    let address = match net::url(&raw.address?) {
        Ok(url) if matches!(url.path.as_str(), "" | "/") => url,
        Ok(url) => {
            let message = match url.path.trim_end_matches('/').strip_suffix("/v1") {
                Some("") => "`/v1/…` is appended by the router; end the address after the port".to_owned(),
                Some(prefix) => format!("end the address after the port, and set `path_prefix: {prefix}`"),
                None => format!("end the address after the port, and set `path_prefix: {}`", url.path),
            };
            report.error(&format!("{path}.address"), message);
            return None;
        }
        Err(message) => {
            report.error(&format!("{path}.address"), message);
            return None;
        }
    };
    Some(Endpoint {
        name,
        scheme: address.scheme,
        host: address.host,
        port: address.port,
        path_prefix,
        weight: raw.weight.unwrap_or(1),
        credentials,
        headers,
        internal: raw.internal.or(model.internal).unwrap_or(false),
        any_model: raw.any_model.or(model.any_model).unwrap_or(false),
        max_parallel: raw.max_parallel,
    })
}

/// What the endpoint says about keys goes before what the model says.
fn credentials(raw: &raw::Endpoint, model: &raw::Model, path: &str, report: &mut Report) -> Credentials {
    let (key, word) = if raw.api_key.is_some() || raw.credentials.is_some() {
        (raw.api_key.as_ref(), raw.credentials)
    } else {
        (model.api_key.as_ref(), model.credentials)
    };
    let key = key.filter(|key| !key.reveal().is_empty());
    if key.is_some_and(|key| !net::is_header_value(key.reveal())) {
        report.error(&format!("{path}.api_key"), "the key has characters that no header can hold");
    }
    match (key, word) {
        (Some(_), Some(raw::Credentials::Passthrough)) => {
            let message =
                "either a key of its own or `passthrough`: with both it is open which one the backend gets";
            report.error(&format!("{path}.credentials"), message);
            Credentials::None
        }
        (Some(key), _) => Credentials::Key(key.clone()),
        (None, Some(raw::Credentials::Passthrough)) => Credentials::Passthrough,
        (None, _) => Credentials::None,
    }
}

/// Headers by name, later maps over earlier ones.
pub(super) fn headers<'a>(
    maps: impl IntoIterator<Item = &'a BTreeMap<String, Secret>>,
    path: &str,
    report: &mut Report,
) -> Vec<(String, Secret)> {
    let mut headers = BTreeMap::new();
    for (name, value) in maps.into_iter().flatten() {
        let at = format!("{path}.headers.{name}");
        if !net::is_header_value(value.reveal()) {
            report.error(&at, "the value has characters that no header can hold");
        }
        match net::settable_header_name(name) {
            Ok(name) => drop(headers.insert(name, value.clone())),
            Err(message) => report.error(&at, message),
        }
    }
    headers.into_iter().collect()
}

fn path_prefix(text: &str, path: &str, report: &mut Report) -> String {
    let trimmed = text.trim().trim_end_matches('/');
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '<' | '>' | '\\' | '{' | '}');
    if trimmed.is_empty() {
        return String::new();
    }
    if !trimmed.starts_with('/') || !trimmed.chars().all(plain) {
        report.error(&format!("{path}.path_prefix"), "expected a path that begins with `/`, as in `/openai`");
    }
    trimmed.to_owned()
}

/// An endpoint's name says where a request went, so one name cannot stand for two addresses.
fn endpoint_names(models: &[Model], report: &mut Report) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (model_index, model) in models.iter().enumerate() {
        for (index, endpoint) in model.endpoints.iter().enumerate() {
            let origin = endpoint.origin();
            match seen.get(endpoint.name.as_str()) {
                Some(other) if *other != origin => {
                    let path = format!("models[{model_index}].endpoints[{index}].name");
                    report.error(
                        &path,
                        format!("two endpoints of different addresses are called {:?}", endpoint.name),
                    );
                }
                Some(_) => {}
                None => drop(seen.insert(&endpoint.name, origin)),
            }
        }
    }
}

fn denied_pii(raw: raw::PiiPolicy, path: &str, report: &mut Report) -> Vec<&'static str> {
    let allowed = pii_types(raw.allow.as_deref().unwrap_or_default(), &format!("{path}.pii.allow"), report);
    let denied = pii_types(raw.deny.as_deref().unwrap_or_default(), &format!("{path}.pii.deny"), report);
    if let Some(both) = allowed.iter().find(|name| denied.contains(name)) {
        report.error(&format!("{path}.pii"), format!("{both} is both allowed and denied"));
    }
    let deny_others = match raw.default {
        Some(permission) => permission == raw::Permission::Deny,
        None => raw.allow.is_some(),
    };
    PII_TYPES
        .into_iter()
        .filter(|name| denied.contains(name) || (deny_others && !allowed.contains(name)))
        .collect()
}

/// The types of personal data that `words` name; a problem for each word that names none.
pub(super) fn pii_types(words: &[String], path: &str, report: &mut Report) -> Vec<&'static str> {
    let mut types = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match PII_TYPES.into_iter().find(|name| name.eq_ignore_ascii_case(word.trim())) {
            Some(name) if !types.contains(&name) => {
                if PII_TYPES_NOT_FOUND.contains(&name) {
                    let message =
                        format!("{name} is not found in this version, so nothing follows from it here");
                    report.warn(&format!("{path}[{index}]"), message);
                }
                types.push(name);
            }
            Some(_) => {}
            None => {
                let suggestion = did_you_mean(word, PII_TYPES);
                let message = format!("no type of personal data is called {word:?}{suggestion}");
                report.error(&format!("{path}[{index}]"), message);
            }
        }
    }
    types
}

/// The model that `name` names; a problem at `path` where there is none.
pub(super) fn find(name: &str, models: &[Model], path: &str, report: &mut Report) -> Option<ModelIndex> {
    let found = models.iter().position(|model| model.name == name);
    if found.is_none() {
        let suggestion = did_you_mean(name, models.iter().map(|model| model.name.as_str()));
        report.error(path, format!("no model is called {name:?}{suggestion}"));
    }
    found.map(ModelIndex)
}

/// `default_model`, else the first model that takes prompts of low confidence, else the first.
pub(super) fn default_model(raw: Option<&str>, models: &[Model], report: &mut Report) -> Option<ModelIndex> {
    if let Some(name) = raw {
        return find(name, models, "default_model", report);
    }
    let general =
        |model: &Model| model.category.as_ref().is_some_and(|category| category.takes_low_confidence);
    models.iter().position(general).or((!models.is_empty()).then_some(0)).map(ModelIndex)
}

/// The families of the file over the built-in ones.
pub(super) fn families(raw: Vec<raw::ReasoningFamily>, report: &mut Report) -> Vec<ReasoningFamily> {
    let built_in = |name: &str, parameter: &str, kind| ReasoningFamily {
        name: name.to_owned(),
        parameter: parameter.split('.').map(str::to_owned).collect(),
        kind,
    };
    let mut families = vec![
        built_in("qwen3", "chat_template_kwargs.enable_thinking", FamilyKind::Switch),
        built_in("deepseek", "chat_template_kwargs.thinking", FamilyKind::Switch),
        built_in("gpt-oss", "reasoning_effort", FamilyKind::Effort),
        built_in("gpt", "reasoning_effort", FamilyKind::Effort),
    ];
    let built_in_count = families.len();
    for (index, raw) in raw.into_iter().enumerate() {
        let path = format!("reasoning_families[{index}]");
        let (Some(name), Some(parameter)) = (raw.name, raw.parameter) else { continue };
        let parameter: Vec<String> = parameter.split('.').map(|part| part.trim().to_owned()).collect();
        if parameter.len() > 8 || parameter.iter().any(String::is_empty) {
            let message =
                "expected names with dots between them, as in `chat_template_kwargs.enable_thinking`";
            report.error(&format!("{path}.parameter"), message);
        }
        let family = ReasoningFamily { name, parameter, kind: raw.kind.unwrap_or(FamilyKind::Switch) };
        match families.iter().position(|other| other.name == family.name) {
            Some(place) if place < built_in_count => families[place] = family,
            Some(_) => {
                report.error(&format!("{path}.name"), format!("two families are called {:?}", family.name));
            }
            None => families.push(family),
        }
    }
    families
}
