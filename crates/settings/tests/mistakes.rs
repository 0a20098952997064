//! What people get wrong, and what they read then.

#![expect(clippy::expect_used, reason = "a test helper fails the test")]

use settings::{Environment, Problems, Source, load};

fn problems(yaml: &str) -> Problems {
    load(Source::Text { name: "test.yaml".into(), yaml: yaml.into() }, &[], &Environment::default())
        .expect_err("the configuration is wrong")
}

/// The one message about `yaml`.
fn message(yaml: &str) -> String {
    let problems = problems(yaml);
    assert_eq!(problems.list.len(), 1, "{problems}");
    problems.list[0].to_string()
}

#[test]
fn ten_mistakes_are_ten_problems() {
    let problems = problems(
        r#"listen:
  http: "127.0.0.1"
modles: []
models:
  - name: qwen3-8b
    category: maths
    endpoints:
      - { name: a, address: "vllm:8000" }
  - name: qwen3-8b
    endpoints: []
    timeouts: { connect_ms: soon }
default_model: qwen3
decisions:
  - name: d
    when: jailbrake
    route: { models: [{ model: "qwen3" }] }
cache: { ttl_seconds: 0 }
"#,
    );
    let lines: Vec<String> = problems.list.iter().map(|p| format!("{}: {p}", p.line.unwrap_or(0))).collect();
    let expected = [
        r#"2: listen.http: "127.0.0.1": the port is missing; write `host:port`"#,
        r#"3: modles: unknown key; did you mean "models"?"#,
        r#"6: models[0].category: no domain or group is called "maths"; did you mean "math"?"#,
        r#"8: models[0].endpoints[0].address: "vllm:8000" has no scheme; did you mean "http://vllm:8000"?"#,
        r#"9: models[1].name: two models are called "qwen3-8b""#,
        "10: models[1].endpoints: a model needs at least one endpoint",
        "11: models[1].timeouts.connect_ms: expected a whole number, found text",
        r#"12: default_model: no model is called "qwen3"; did you mean "qwen3-8b"?"#,
        r#"15: decisions[0].when: no signal is called "jailbrake"; did you mean "jailbreak"?"#,
        r#"16: decisions[0].route.models[0].model: no model is called "qwen3"; did you mean "qwen3-8b"?"#,
        "17: cache.ttl_seconds: expected a number of at least 1, found 0",
    ];
    assert_eq!(lines, expected);
    assert!(problems.to_string().starts_with("test.yaml: 11 problems\n  line 2 "), "{problems}");
}

#[test]
fn a_wider_bind_needs_a_decision() {
    let wide = message("listen: { http: '0.0.0.0:8080' }");
    assert!(wide.starts_with("listen.http: 0.0.0.0:8080 can be reached from other machines"), "{wide}");
    let open = "access: open\nlisten: { http: '0.0.0.0:8080', metrics: '0.0.0.0:9190' }";
    assert!(load(Source::Text { name: "t".into(), yaml: open.into() }, &[], &Environment::default()).is_ok());
    let admin = message("access: open\nlisten: { admin: '0.0.0.0:9191' }");
    assert!(admin.contains("needs a token"), "{admin}");
}

/// Strangers have no certificate that the authority signed.
#[test]
fn client_certificates_are_a_decision_too() {
    let certificates = "certificate_file: c.pem, key_file: k.pem";
    let wide = |tls: &str| format!("listen: {{ http: {{ address: '0.0.0.0:8443', tls: {{ {tls} }} }} }}");
    let mutual = wide(&format!("{certificates}, ca_file: a.pem"));
    assert!(load(Source::Text { name: "t".into(), yaml: mutual }, &[], &Environment::default()).is_ok());
    assert!(message(&wide(certificates)).contains("can be reached from other machines"));
}

#[test]
fn a_listener_needs_its_certificate_and_key() {
    for door in ["http", "metrics", "admin", "extproc"] {
        let tls = |keys: &str| message(&format!("listen: {{ {door}: {{ tls: {{ {keys} }} }} }}"));
        let without_key = tls("certificate_file: c.pem");
        assert!(without_key.starts_with(&format!("listen.{door}.tls.key_file: missing")), "{without_key}");
        let without_certificate = tls("key_file: k.pem");
        let expected = format!("listen.{door}.tls.certificate_file: missing");
        assert!(without_certificate.starts_with(&expected), "{without_certificate}");
        let empty = tls("certificate_file: '', key_file: k.pem");
        assert!(empty.starts_with(&format!("listen.{door}.tls.certificate_file: empty")), "{empty}");
        let unknown = tls("certificate_file: c.pem, key_file: k.pem, certificate: c.pem");
        assert!(unknown.starts_with(&format!("listen.{door}.tls.certificate")), "{unknown}");
    }
}

#[test]
fn what_is_not_there_yet_says_so() {
    for yaml in [
        "signals: [{ name: s, similarity: { any: [a] } }]",
        "signals: [{ name: s, language: { any: [de] } }]",
        "cache: { backend: qdrant }",
        "cache: { threshold: 0.9 }",
        "access: { rates: { per_minute: 5 } }",
    ] {
        let message = message(yaml);
        assert!(message.contains("not available in this version"), "{yaml}: {message}");
    }
}

#[test]
fn one_cause_is_one_problem() {
    assert_eq!(message("models: [5]"), "models[0]: expected a mapping, found a number");
    assert!(
        message("models: [{ endpoints: [{name: a, address: 'http://a'}] }]")
            .starts_with("models[0].name: missing")
    );
    assert_eq!(message("cache: { enabled: 1 }"), "cache.enabled: expected true or false, found a number");
    let provider = message("observability: { tracing: { provider: jaeger } }");
    assert!(provider.contains("unknown word \"jaeger\""), "{provider}");
    assert_eq!(message("models: x"), "models: expected a list, found text");
}

#[test]
fn unknown_words_of_tracing_are_refused_all_at_once() {
    let problems = problems(
        r#"observability:
  tracing:
    provider: zipkin
    trust_incoming: maybe
    exporter: { type: otlp, endpoint: "c:4317", protocol: http/json, compression: zstd, semconv: [router, traces] }
    sampling: { type: sometimes, rate: 1.5, parent_not_sampled: ask, keep: { slow_ms: -1 } }
"#,
    );
    let lines: Vec<String> = problems.list.iter().map(|p| format!("{}: {p}", p.line.unwrap_or(0))).collect();
    let expected = [
        r#"3: observability.tracing.provider: unknown word "zipkin"; known: opentelemetry"#,
        r#"4: observability.tracing.trust_incoming: unknown word "maybe"; known: parent, link, ignore"#,
        r#"5: observability.tracing.exporter.protocol: unknown word "http/json"; did you mean "http/protobuf"?"#,
        r#"5: observability.tracing.exporter.compression: unknown word "zstd"; known: none, gzip"#,
        r#"5: observability.tracing.exporter.semconv[1]: unknown word "traces"; known: router, openinference, gen_ai"#,
        r#"6: observability.tracing.sampling.type: unknown word "sometimes"; known: always_on, always_off, probabilistic, adaptive"#,
        "6: observability.tracing.sampling.rate: expected a number from 0 to 1, found 1.5",
        r#"6: observability.tracing.sampling.parent_not_sampled: unknown word "ask"; known: respect, ignore"#,
        "6: observability.tracing.sampling.keep.slow_ms: expected a number of at least 1, found -1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn slips_are_guessed() {
    let v1 = message(
        "models: [{ name: m, endpoints: [{ name: a, address: 'https://api.example.com/openai/v1' }] }]",
    );
    assert!(v1.contains("`path_prefix: /openai`"), "{v1}");
    let quotes = message("models: [{ name: 4, endpoints: [{ name: a, address: 'http://a' }] }]");
    assert!(quotes.contains("put it into quotes"), "{quotes}");
    let auto = message("models: [{ name: auto, endpoints: [{ name: a, address: 'http://a' }] }]");
    assert!(auto.contains("how clients ask for routing"), "{auto}");
}

#[test]
fn a_decision_does_one_thing() {
    assert!(message("decisions: [{ name: d }]").contains("one of route, block and mask"));
    assert!(message("decisions: [{ name: d, block: {}, mask: {} }]").contains("keep one"));
    assert!(
        message("decisions: [{ name: d, when: { any: [pii], not: pii }, block: {} }]")
            .contains("exactly one of")
    );
    assert!(
        message("decisions: [{ name: d, when: { any: [] }, block: {} }]").contains("at least one expression")
    );
    assert!(
        message("signals: [{ name: s, keywords: { regex: ['('] } }]").contains("not a regular expression")
    );
}

#[test]
fn secrets_are_not_repeated() {
    let secret = "sk-very-secret";
    for yaml in [
        format!(
            "models: [{{ name: m, api_key: {secret}, endpoints: [{{ name: a, address: 'http://u:{secret}@h' }}] }}]"
        ),
        format!("access: {{ keys: [{{ name: a, sha256: {secret} }}] }}"),
        format!("a: {secret}\nb: [1"),
        format!(
            "models: [{{ name: m, api_key: [{secret}], endpoints: [{{ name: a, address: 'http://h' }}] }}]"
        ),
    ] {
        let text = problems(&yaml).to_string();
        assert!(!text.contains(secret), "{text}");
    }
    let environment = Environment::from_pairs([("SECRET", secret)]);
    for yaml in ["cache: { backend: '${SECRET}' }", "cache: { ttl_seconds: '${SECRET}' }"] {
        let source = Source::Text { name: "t".into(), yaml: yaml.into() };
        let text = load(source, &[], &environment).expect_err("a wrong value").to_string();
        assert!(!text.contains(secret), "{text}");
    }
    let source = Source::Text { name: "t".into(), yaml: "default_model: '${SECRET}'".into() };
    let text = load(source, &[], &environment).expect_err("no such model").to_string();
    assert!(text.contains("no model is called \"${SECRET}\""), "{text}");
    assert!(!format!("{environment:?}").contains(secret));
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let missing = load(Source::File("/nowhere/config.yaml".into()), &[], &Environment::default());
    let text = missing.expect_err("no such file").to_string();
    assert!(text.contains("/nowhere/config.yaml") && text.contains("cannot be read"), "{text}");
    assert!(message("{{{").contains("not valid YAML"));
    assert!(message("- a\n- b").contains("expected a mapping, found a list"));
}
