//! What holds for every text, and for every default.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use settings::{Environment, Source, load};

fn text(yaml: impl Into<String>) -> Source {
    Source::Text { name: "test".into(), yaml: yaml.into() }
}

/// YAML that is nearly a configuration: known keys, wrong and right values, nesting.
fn nearly() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "models",
        "name",
        "endpoints",
        "address",
        "listen",
        "http",
        "access",
        "keys",
        "signals",
        "keywords",
        "any",
        "all",
        "not",
        "when",
        "decisions",
        "route",
        "block",
        "mask",
        "cache",
        "observability",
        "tracing",
        "exporter",
        "sampling",
        "type",
        "rate",
        "pii",
        "domain",
        "groups",
        "reasoning",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "open",
            "off",
            "otlp",
            "math",
            "pii",
            "http://a:1",
            "127.0.0.1:0",
            "${X}",
            "${SECRET}",
            "http://${SECRET}",
            "${",
            "a[0].b"
        ])
        .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|entries| Value::Object(
                entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn arbitrary_text_never_panics(yaml in "\\PC{0,200}", assignment in ".{0,40}") {
        let _ = load(text(yaml), &[assignment], &Environment::default());
    }

    #[test]
    fn arbitrary_trees_never_panic(root in nearly(), key in "[a-z.\\[\\]0-9]{0,16}") {
        let assignment = format!("{key}={root}");
        let _ = load(text(root.to_string()), &[assignment], &Environment::default());
    }

    /// Wherever a variable is put, what it holds is in no message.
    #[test]
    fn no_message_repeats_a_variable(root in nearly(), secret in "[!-~]{8,20}") {
        let environment = Environment::from_pairs([("SECRET", secret.as_str())]);
        let printed = match load(text(root.to_string()), &[], &environment) {
            Ok(loaded) => settings::render(&loaded.warnings),
            Err(problems) => problems.to_string(),
        };
        prop_assert!(!printed.contains(&secret), "{}", printed);
    }

    /// Loading is a function: the same text gives the same settings or the same problems.
    #[test]
    fn loading_twice_is_loading_once(root in nearly()) {
        let load = || load(text(root.to_string()), &[], &Environment::default()).map(|loaded| loaded.settings);
        prop_assert_eq!(load(), load());
    }
}

/// A document with every default of the schema written out gives the settings of one without them.
#[test]
fn documented_defaults_are_the_built_ones() {
    let schema = settings::schema();
    let endpoint = json!({"name": "a", "address": "http://a:1"});
    let bare = json!({
        "models": [{"name": "m", "endpoints": [endpoint]}],
        "reasoning_families": [{"name": "f", "parameter": "x"}],
        "signals": [
            {"name": "k", "keywords": {"any": ["a"]}},
            {"name": "p", "pii": {}},
            {"name": "j", "jailbreak": {}},
        ],
        "decisions": [
            {"name": "r", "route": {"models": ["m"], "system_prompt": {"text": "t"}}},
            {"name": "b", "when": "k", "block": {}},
        ],
        "observability": {"tracing": {"exporter": {"type": "otlp", "endpoint": "http://a:4317", "retry": {}}}},
    });
    let mut full = bare.clone();
    let mut count = 0;
    fill(&mut full, &schema, &schema, &mut count);
    assert!(count > 40, "only {count} defaults are documented");
    let settings = |document: &Value| {
        let loaded = load(text(document.to_string()), &[], &Environment::default());
        loaded.unwrap_or_else(|problems| panic!("{problems}")).settings
    };
    let (mut bare, full) = (settings(&bare), settings(&full));
    // Whether an address was written is the one thing that writing a default out changes.
    bare.listen = full.listen.clone();
    assert_eq!(bare, full);
}

/// Fills the documented defaults into what `document` holds, and into top-level blocks that it does not hold.
fn fill(document: &mut Value, schema: &Value, root: &Value, count: &mut usize) {
    let schema = resolve(schema, root);
    match document {
        Value::Object(map) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (key, property) in properties {
                if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
                    if !map.contains_key(key) && default != &json!([]) && default != &json!({}) {
                        map.insert(key.clone(), default.clone());
                        *count += 1;
                    }
                } else if is_plain_block(property, root) && !map.contains_key(key) {
                    let mut block = Value::Object(Map::new());
                    fill(&mut block, property, root, count);
                    if block != json!({}) {
                        map.insert(key.clone(), block);
                    }
                } else if let Some(value) = map.get_mut(key) {
                    fill(value, property, root, count);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            items.iter_mut().for_each(|item| fill(item, schema, root, count));
        }
        _ => {}
    }
}

/// Blocks of settings that mean nothing by being there; a signal's or a decision's would.
fn is_plain_block(property: &Value, root: &Value) -> bool {
    let reference = property.to_string();
    let plain = [
        "Listen\"",
        "Limits\"",
        "Routing\"",
        "Upstream\"",
        "Failover\"",
        "RetryBudget\"",
        "Ejection\"",
        "/Cache\"",
        "CacheAllow\"",
        "OnFailure\"",
        "Responses\"",
        "Observability\"",
        "Tracing\"",
        "Sampling\"",
        "Logs\"",
        "Metrics\"",
        "Shutdown\"",
        "AccessBlock\"",
    ];
    resolve(property, root).get("properties").is_some() && plain.iter().any(|name| reference.contains(name))
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return resolve(&root["$defs"][reference.rsplit('/').next().unwrap_or_default()], root);
    }
    let branches = schema.get("anyOf").and_then(Value::as_array);
    match branches.and_then(|branches| branches.iter().find(|branch| branch.get("$ref").is_some())) {
        Some(branch) => resolve(branch, root),
        None => schema,
    }
}
