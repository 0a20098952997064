//! What models, signals and decisions come to mean.

#![expect(clippy::panic, reason = "a test helper fails the test")]

use std::time::Duration;

use settings::check::decisions::{
    Action, Author, BlockAnswer, BlockReason, Effort, Expression, Mask, PromptMode, Reasoning,
};
use settings::check::models::{Credentials, Dialect, FamilyKind};
use settings::check::signals::{HeaderMatch, SignalKind, Subject};
use settings::check::vocabulary::PII_TYPES;
use settings::{Environment, Loaded, Settings, Source, load};

const MODELS: &str = "models:
  - { name: small, category: general, endpoints: [{ name: a, address: 'http://a:1' }] }
  - { name: big, category: reasoning, endpoints: [{ name: b, address: 'http://b:1' }] }
";

fn loaded(yaml: &str) -> Loaded {
    load(Source::Text { name: "test".into(), yaml: yaml.into() }, &[], &Environment::default())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn with_models(yaml: &str) -> Settings {
    loaded(&format!("{MODELS}{yaml}")).settings
}

fn one_model(keys: &str) -> Settings {
    loaded(&format!("models: [{{ name: m, endpoints: [{{ name: a, address: 'http://a:1' }}], {keys} }}]"))
        .settings
}

#[test]
fn two_decisions_are_built_in() {
    let settings = with_models("");
    let names: Vec<&str> = settings.decisions.iter().map(|decision| decision.name.as_str()).collect();
    assert_eq!(names, ["block-jailbreak", "mask-pii"]);
    assert!(settings.decisions.iter().all(|decision| decision.author == Author::BuiltIn));
    let Action::Block(block) = &settings.decisions[0].action else { panic!("a block") };
    assert_eq!((block.reason, block.answer), (BlockReason::Jailbreak, BlockAnswer::Error));
    assert_eq!(settings.decisions[1].action, Action::Mask(Mask::WhatNoCandidateMaySee));
    let subjects: Vec<Subject> = settings.signals.iter().map(|signal| signal.subject).collect();
    assert_eq!(subjects, [Subject::UserAndToolText, Subject::Conversation]);
}

#[test]
fn built_in_decisions_and_signals_can_be_replaced_or_switched_off() {
    let settings = with_models(
        "signals: [{ name: jailbreak, jailbreak: { threshold: 0.9 } }]
decisions:
  - { name: block-jailbreak, enabled: false }
  - { name: mask-pii, priority: 5, when: pii, mask: { types: [email_address] } }",
    );
    assert_eq!(settings.decisions.len(), 1);
    assert_eq!(settings.decisions[0].action, Action::Mask(Mask::Types(vec!["EMAIL_ADDRESS"])));
    assert_eq!((settings.decisions[0].priority, settings.decisions[0].author), (5, Author::File));
    assert_eq!(settings.signals[0].kind, SignalKind::Jailbreak { threshold: 0.9 });
    assert_eq!(settings.signals.len(), 2);
}

#[test]
fn a_route_is_resolved() {
    let settings = with_models(
        "signals: [{ name: hard, domain: { any: [reasoning, law] } }]
decisions:
  - name: low
    route: { models: [small] }
  - name: hard
    priority: 7
    when: { all: [hard, { not: pii }] }
    route:
      models: [{ model: small, score: 0.1 }, { model: big, score: 0.9, weight: 3 }]
      reasoning: high
      system_prompt: { text: Think. }
      cache: { ttl_seconds: 5 }
      headers: { set: { X-Tier: gold }, remove: [X-Debug] }",
    );
    let names: Vec<&str> = settings.decisions.iter().map(|decision| decision.name.as_str()).collect();
    assert_eq!(names, ["block-jailbreak", "mask-pii", "hard", "low"]);
    let decision = &settings.decisions[2];
    let Expression::All(parts) = &decision.when else { panic!("all") };
    assert!(
        matches!(&parts[1], Expression::Not(inner) if **inner == Expression::Signal(settings::check::signals::SignalIndex(1)))
    );
    let Action::Route(route) = &decision.action else { panic!("a route") };
    let candidates: Vec<(usize, u32)> =
        route.candidates.iter().map(|one| (one.model.0, one.weight)).collect();
    assert_eq!(candidates, [(1, 3), (0, 1)]);
    assert_eq!(route.reasoning, Some(Reasoning::On(Some(Effort::High))));
    assert_eq!(route.system_prompt.as_ref().map(|prompt| prompt.mode), Some(PromptMode::Prepend));
    assert_eq!((route.cache.enabled, route.cache.time_to_live), (true, Duration::from_secs(5)));
    assert_eq!(route.set_headers, [("x-tier".to_owned(), "gold".to_owned())]);
    let SignalKind::Domain { domains, min_confidence, takes_low_confidence } = &settings.signals[2].kind
    else {
        panic!("a domain")
    };
    assert_eq!((domains.len(), *min_confidence, *takes_low_confidence), (6, 0.5, false));
}

#[test]
fn blocks_say_why() {
    let reason = |when: &str| {
        let settings = with_models(&format!(
            "signals: [{{ name: k, keywords: {{ any: [x] }} }}]\ndecisions: [{{ name: d, priority: 2000, when: {when}, block: {{}} }}]"
        ));
        let Action::Block(block) = &settings.decisions[0].action else { panic!("a block") };
        block.reason
    };
    assert_eq!(reason("k"), BlockReason::Policy);
    assert_eq!(reason("{ all: [k, pii] }"), BlockReason::Pii);
    assert_eq!(reason("{ any: [pii, { all: [jailbreak, k] }] }"), BlockReason::Jailbreak);
    assert_eq!(reason("{ not: jailbreak }"), BlockReason::Policy);
}

#[test]
fn what_can_never_happen_is_a_warning() {
    let yaml = format!(
        "{MODELS}decisions: [{{ name: all, route: {{ models: [small] }} }}, {{ name: late, when: pii, route: {{ models: [big] }} }}]"
    );
    let warnings = settings::render(&loaded(&yaml).warnings);
    assert!(warnings.contains("\"late\" is never reached"), "{warnings}");
}

#[test]
fn policies_on_personal_data() {
    assert!(one_model("usage: ask").models[0].denied_pii.is_empty());
    let only_age = one_model("pii: { allow: [AGE] }").models[0].denied_pii.clone();
    assert_eq!(only_age.len(), PII_TYPES.len() - 1);
    assert!(!only_age.contains(&"AGE"));
    assert_eq!(one_model("pii: { deny: [US_SSN] }").models[0].denied_pii, ["US_SSN"]);
    assert_eq!(one_model("pii: { default: deny }").models[0].denied_pii, PII_TYPES);
    assert!(one_model("pii: { default: allow, allow: [AGE] }").models[0].denied_pii.is_empty());
}

#[test]
fn endpoints_take_what_the_model_says() {
    let settings = loaded(
        "upstream: { timeouts: { idle_ms: 1 } }
models:
  - name: m
    upstream_name: org/m
    api_key: k
    headers: { X-A: model, x-b: model }
    path_prefix: /openai/
    internal: true
    dialects: [responses]
    reasoning_family: qwen3
    timeouts: { total_ms: 2 }
    pricing: { prompt: 1, completion: 2 }
    endpoints:
      - { name: a, address: 'https://a', headers: { x-a: endpoint } }
      - { name: b, address: 'http://[::1]:5', credentials: passthrough, internal: false, path_prefix: '', weight: 0 }",
    )
    .settings;
    let model = &settings.models[0];
    let [first, second] = &model.endpoints[..] else { panic!("two endpoints") };
    let headers: Vec<(&str, &str)> = first.headers.iter().map(|(n, v)| (n.as_str(), v.reveal())).collect();
    assert_eq!(headers, [("x-a", "endpoint"), ("x-b", "model")]);
    assert_eq!((first.path_prefix.as_str(), second.path_prefix.as_str()), ("/openai", ""));
    assert!(matches!(first.credentials, Credentials::Key(_)));
    assert_eq!(second.credentials, Credentials::Passthrough);
    assert_eq!((first.internal, second.internal, second.weight), (true, false, 0));
    assert_eq!((first.origin().as_str(), second.origin().as_str()), ("https://a:443", "http://[::1]:5"));
    assert_eq!(
        (model.timeouts.idle, model.timeouts.total),
        (Duration::from_millis(1), Duration::from_millis(2))
    );
    assert_eq!(model.pricing.map(|pricing| pricing.cached), Some(1.0));
    assert_eq!(model.dialects, [Dialect::Responses]);
    let family = &settings.reasoning_families[model.reasoning_family.expect("a family").0];
    assert_eq!(
        (family.parameter.join("."), family.kind),
        ("chat_template_kwargs.enable_thinking".into(), FamilyKind::Switch)
    );
}

#[test]
fn groups_can_be_overridden_and_general_is_the_rest() {
    let settings = with_models("groups: { reasoning: [math], legal: [law, 'computer_science'] }");
    let group = |name: &str| settings.groups.iter().find(|group| group.name == name).expect("a group");
    assert_eq!(group("reasoning").domains, ["math"]);
    assert_eq!(group("legal").domains, ["law", "computer science"]);
    assert_eq!(group("general").domains.len(), 13);
    assert!(group("general").takes_low_confidence && !group("legal").takes_low_confidence);
}

#[test]
fn the_default_model_follows_its_rule() {
    let default = |yaml: &str| loaded(yaml).settings.default_model.map(|index| index.0);
    let model = |name: &str, category: &str| {
        format!("{{ name: {name}, {category} endpoints: [{{ name: {name}, address: 'http://{name}' }}] }}")
    };
    let (plain, general) = (model("a", "category: math,"), model("b", "category: general,"));
    assert_eq!(default(&format!("models: [{plain}, {general}]")), Some(1));
    assert_eq!(default(&format!("models: [{plain}]")), Some(0));
    assert_eq!(default(&format!("models: [{plain}, {general}]\ndefault_model: a")), Some(0));
}

#[test]
fn listeners_and_who_asked_for_them() {
    let settings = loaded("listen: { http: 'localhost:0', metrics: off, admin: { token: t } }").settings;
    let http = settings.listen.http.expect("the door");
    assert!(http.explicit && http.address.port() == 0 && http.address.ip().is_loopback());
    assert!(settings.listen.metrics.is_none());
    let admin = settings.listen.admin.expect("the admin API");
    assert!(!admin.listener.explicit && admin.token.is_some());
}

#[test]
fn certificates_of_every_listener() {
    let tls = "tls: { certificate_file: c.pem, key_file: k.pem, ca_file: a.pem }";
    let yaml = format!(
        "listen: {{ http: {{ {tls} }}, metrics: {{ {tls} }}, admin: {{ {tls} }}, extproc: {{ {tls} }} }}"
    );
    let listen = loaded(&yaml).settings.listen;
    let (admin, extproc) = (listen.admin.expect("admin").listener, listen.extproc.expect("extproc").listener);
    for listener in [listen.http.expect("http"), listen.metrics.expect("metrics"), admin, extproc] {
        let tls = listener.tls.expect("certificates");
        assert_eq!(tls.certificate_file.to_str(), Some("c.pem"));
        assert_eq!(tls.key_file.to_str(), Some("k.pem"));
        assert_eq!(tls.client_authorities_file.as_deref().and_then(std::path::Path::to_str), Some("a.pem"));
    }
}

#[test]
fn keys_are_hashes_and_their_models_are_found() {
    let hash = "9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let yaml = format!(
        "access: {{ keys: [{{ name: app, sha256: '{hash}', models: [big] }}], trusted_peers: ['10.0.0.0/8'] }}"
    );
    let access = with_models(&yaml).access;
    assert_eq!(access.mode, settings::check::access::AccessMode::Keys);
    assert_eq!((access.keys[0].sha256[0], access.keys[0].sha256[31]), (0x9f, 0x08));
    assert_eq!(access.keys[0].models.as_ref().map(|models| models[0].0), Some(1));
    assert!(access.trusted_peers[0].contains("10.1.2.3".parse().expect("an address")));
    assert!(!format!("{access:?}").contains("159"), "the hash is not printed");
}

#[test]
fn header_signals() {
    let kind = |header: &str| {
        with_models(&format!("signals: [{{ name: h, header: {header} }}]")).signals[2].kind.clone()
    };
    let expected = |matches| SignalKind::Header { name: "x-ring".into(), matches };
    assert_eq!(kind("{ name: X-Ring }"), expected(HeaderMatch::Present));
    assert_eq!(kind("{ name: x-ring, any: [beta] }"), expected(HeaderMatch::OneOf(vec!["beta".into()])));
    assert_eq!(kind("{ name: x-ring, regex: '^b' }"), expected(HeaderMatch::Regex("^b".into())));
}
