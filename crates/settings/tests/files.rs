//! Every file in `config/`, and the schema beside them.

#![expect(clippy::panic, reason = "a test helper fails the test")]

use std::path::{Path, PathBuf};

use settings::check::access::AccessMode;
use settings::check::observability::{Exporter, Head, StdoutFormat};
use settings::{Environment, Loaded, Source, load, render};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

fn environment() -> Environment {
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    Environment::from_pairs([("ROUTER_KEY_SHA256", hash), ("ADMIN_TOKEN", "t"), ("OPENAI_API_KEY", "sk-x")])
}

fn loaded(name: &str) -> Loaded {
    load(Source::File(folder().join(name)), &[], &environment())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_file_loads() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let loaded =
                load(Source::File(path), &[], &environment()).unwrap_or_else(|problems| panic!("{problems}"));
            assert!(loaded.warnings.is_empty(), "{}:\n{}", loaded.origin, render(&loaded.warnings));
            count += 1;
        }
    }
    assert!(count >= 4, "{count} files");
}

#[test]
fn the_reference_stays_short() {
    let text = std::fs::read_to_string(folder().join("reference.yaml")).expect("the file is there");
    assert!(text.lines().count() < 150, "if it grows, the design of the configuration is wrong");
}

/// Every key that the schema knows stands in the reference, as a key or at least in a comment.
#[test]
fn the_reference_shows_every_key() {
    let text = std::fs::read_to_string(folder().join("reference.yaml")).expect("the file is there");
    let schema = settings::schema();
    let mut keys = Vec::new();
    collect_keys(&schema, &mut keys);
    // Known words of later versions, which answer "not available in this version".
    let later = ["similarity", "language", "difficulty", "classifier", "rates"];
    for key in keys.into_iter().filter(|key| !later.contains(&key.as_str())) {
        let written = [format!("{key}:"), format!("{key} "), format!(": {key}")];
        assert!(written.iter().any(|form| text.contains(form)), "the reference does not show `{key}`");
    }
}

fn collect_keys(schema: &serde_json::Value, keys: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| collect_keys(value, keys));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn production_samples_a_tenth_by_otlp_with_keys() {
    let settings = loaded("config.production.yaml").settings;
    let tracing = &settings.observability.tracing;
    assert_eq!(tracing.sampling.head, Head::Probabilistic(0.1));
    let Exporter::Otlp(otlp) = &tracing.destinations[0].exporter else { panic!("not OTLP") };
    assert_eq!(otlp.endpoint, "https://tempo:4317");
    assert_eq!(settings.access.mode, AccessMode::Keys);
}

#[test]
fn development_prints_everything() {
    let tracing = loaded("config.development.yaml").settings.observability.tracing;
    assert_eq!(tracing.sampling.head, Head::AlwaysOn);
    assert_eq!(tracing.destinations[0].exporter, Exporter::Stdout(StdoutFormat::Json));
}

#[test]
fn the_sample_routes_by_category_alone() {
    let settings = loaded("config.yaml").settings;
    let category = |index: usize| settings.models[index].category.as_ref().expect("a category");
    assert!(category(0).takes_low_confidence);
    assert_eq!(category(1).domains, ["math", "physics", "chemistry", "engineering", "computer science"]);
    assert_eq!(category(0).domains.len(), 9);
    assert_eq!(settings.default_model.map(|index| index.0), Some(0));
}

/// `UPDATE_SCHEMA=1 cargo test -p settings` writes the file anew.
#[test]
fn the_schema_is_current() {
    let path = folder().join("schema.json");
    let mut current = serde_json::to_string_pretty(&settings::schema()).expect("a schema is JSON");
    current.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &current).expect("the folder can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the schema is there");
    assert!(
        written == current,
        "config/schema.json is out of date; run `UPDATE_SCHEMA=1 cargo test -p settings`"
    );
}
