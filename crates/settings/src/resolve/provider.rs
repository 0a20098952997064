//! Without models in the file: the provider that the environment names.
//!
//! What it is not: a source of answers by itself. With no variable set there are no models, the router starts, says so, and
//! answers 503.

use super::{models, net};
use crate::check::models::{Credentials, Endpoint, Model, Scheme, Usage};
use crate::check::upstream::Timeouts;
use crate::environment::Environment;
use crate::report::Report;
use crate::secret::Secret;

const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";
/// What `auto` asks the provider for when `OPENAI_MODEL` is not set.
const OPENAI_MODEL: &str = "gpt-4o-mini";

/// The model of `OPENAI_BASE_URL`, `OPENAI_API_KEY` and `OPENAI_MODEL`; `None` with a warning where neither of the first two
/// is set.
pub(super) fn model(environment: &Environment, timeouts: Timeouts, report: &mut Report) -> Option<Model> {
    let base = environment.filled("OPENAI_BASE_URL");
    let key = environment.filled("OPENAI_API_KEY");
    if base.is_none() && key.is_none() {
        let message = "no models are configured and neither OPENAI_BASE_URL nor OPENAI_API_KEY is set: every request is \
                       answered with 503 no_backend";
        report.warn("models", message);
        return None;
    }
    let url = match net::url(base.unwrap_or(OPENAI_BASE_URL)) {
        Ok(url) => url,
        Err(message) => {
            report.error("", format!("the environment variable OPENAI_BASE_URL: {message}"));
            return None;
        }
    };
    let name = environment.filled("OPENAI_MODEL").unwrap_or_else(|| {
        report.warn(
            "models",
            format!("OPENAI_MODEL is not set: `auto` asks the provider for {OPENAI_MODEL:?}"),
        );
        OPENAI_MODEL
    });
    let provider = if url.host == "api.openai.com" { "openai".to_owned() } else { url.host.clone() };
    if url.scheme == Scheme::Http && key.is_some() && !net::is_loopback(&url.host) {
        report.warn("models", "OPENAI_BASE_URL is plain http: OPENAI_API_KEY travels unencrypted");
    }
    Some(Model {
        name: name.to_owned(),
        upstream_name: name.to_owned(),
        category: None,
        endpoints: vec![Endpoint {
            name: provider.clone(),
            scheme: url.scheme,
            path_prefix: prefix(&url.path, report),
            host: url.host,
            port: url.port,
            weight: 1,
            credentials: key.map_or(Credentials::None, |key| Credentials::Key(Secret::new(key))),
            headers: Vec::new(),
            internal: false,
            any_model: true,
            max_parallel: None,
        }],
        provider: Some(provider),
        version: None,
        dialects: models::default_dialects(),
        usage: Usage::Ask,
        timeouts,
        max_parallel: None,
        context_length: None,
        pricing: None,
        reasoning_family: None,
        denied_pii: Vec::new(),
    })
}

/// What comes before `/v1`; base URLs usually end in it.
fn prefix(path: &str, report: &mut Report) -> String {
    let path = path.trim_end_matches('/');
    match path.strip_suffix("/v1") {
        Some(prefix) => prefix.to_owned(),
        None => {
            report.warn(
                "models",
                "OPENAI_BASE_URL does not end in /v1; requests go to …/v1/… under it all the same",
            );
            path.to_owned()
        }
    }
}
