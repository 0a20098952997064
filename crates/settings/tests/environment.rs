//! Variables in the file, overrides above it, and the standard variables beside it.

#![expect(clippy::panic, reason = "a test helper fails the test")]

use std::path::Path;
use std::time::Duration;

use settings::check::models::{Credentials, Scheme};
use settings::check::observability::{
    Compression, Exporter, Head, Otlp, ParentNotSampled, Propagator, Protocol, StdoutFormat, Tracing,
};
use settings::{Environment, Loaded, Source, Winner, load, locate};

fn loaded(yaml: &str, overrides: &[&str], variables: &[(&str, &str)]) -> Loaded {
    let source = Source::Text { name: "test".into(), yaml: yaml.into() };
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    load(source, &overrides, &Environment::from_pairs(variables.iter().copied()))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn tracing(yaml: &str, variables: &[(&str, &str)]) -> Tracing {
    loaded(yaml, &[], variables).settings.observability.tracing
}

fn otlp(tracing: &Tracing) -> Otlp {
    match &tracing.destinations[0].exporter {
        Exporter::Otlp(otlp) => (**otlp).clone(),
        other => panic!("expected OTLP, found {other:?}"),
    }
}

#[test]
fn variables_in_values_become_what_the_key_wants() {
    let yaml = "cache: { ttl_seconds: \"${TTL}\", enabled: \"${ON:-false}\", scope: \"${SCOPE:-global}\" }\n\
                models: [{ name: '${NAME}', api_key: '${KEY}', endpoints: [{ name: a, address: 'http://${HOST}:80' }] }]";
    let settings =
        loaded(yaml, &[], &[("TTL", "60"), ("NAME", "123"), ("KEY", "456"), ("HOST", "h")]).settings;
    assert_eq!(settings.cache.time_to_live, Duration::from_secs(60));
    assert!(!settings.cache.enabled);
    assert_eq!(settings.models[0].name, "123");
    let Credentials::Key(key) = &settings.models[0].endpoints[0].credentials else { panic!("a key") };
    assert_eq!(key.reveal(), "456");
}

#[test]
fn overrides_stand_above_the_file() {
    let yaml =
        "cache: { enabled: true }\nmodels: [{ name: m, endpoints: [{ name: a, address: 'http://h' }] }]";
    let overrides =
        ["cache.enabled=false", "models[0].endpoints[0].address=http://other:1", "listen.metrics=off"];
    let settings = loaded(yaml, &overrides, &[]).settings;
    assert!(!settings.cache.enabled);
    assert_eq!(settings.models[0].endpoints[0].origin(), "http://other:1");
    assert!(settings.listen.metrics.is_none());
    let source = Source::Text { name: "t".into(), yaml: String::new() };
    let wrong =
        load(source, &["cache.enabeld=false".into()], &Environment::default()).expect_err("an unknown key");
    assert_eq!(wrong.list[0].to_string(), "cache.enabeld: unknown key; did you mean \"enabled\"?");
}

#[test]
fn versions_follow_the_text_and_the_overrides() {
    let version = |yaml, overrides: &[&str]| loaded(yaml, overrides, &[]).version;
    assert_eq!(version("", &[]), version("", &[]));
    assert_ne!(version("", &[]), version("# a comment", &[]));
    assert_ne!(version("", &[]), version("", &["cache.enabled=true"]));
    assert_eq!(version("", &[]).len(), 12);
}

#[test]
fn an_endpoint_in_the_environment_switches_otlp_on() {
    let tracing =
        tracing("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"), ("OTEL_SERVICE_NAME", "s")]);
    assert_eq!(otlp(&tracing).endpoint, "http://collector:4317");
    assert_eq!(tracing.resource.service_name, "s");
}

#[test]
fn an_endpoint_without_a_scheme_is_understood() {
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "otel-collector:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")];
    let loaded = loaded("", &[], &variables);
    assert_eq!(otlp(&loaded.settings.observability.tracing).endpoint, "http://otel-collector:4317");
    assert!(!loaded.warnings.iter().any(|warning| warning.message.contains("unencrypted")));
}

#[test]
fn http_protobuf_appends_its_path_only_to_the_general_variable() {
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let general = tracing("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), protocol]);
    assert_eq!(otlp(&general).endpoint, "http://c:4318/v1/traces");
    assert_eq!(otlp(&general).protocol, Protocol::HttpProtobuf);
    let traces = tracing("", &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/in"), protocol]);
    assert_eq!(otlp(&traces).endpoint, "http://c:4318/in");
    let by_port = tracing("observability: {tracing: {exporter: {endpoint: 'http://c:4318'}}}", &[]);
    assert_eq!(otlp(&by_port).endpoint, "http://c:4318/v1/traces");
}

#[test]
fn the_variable_for_traces_beats_the_general_one() {
    let tracing = tracing(
        "",
        &[
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=general"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "X-A=traces,x-b=1%2C2"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ],
    );
    let otlp = otlp(&tracing);
    assert_eq!(otlp.timeout, Duration::from_millis(2000));
    assert_eq!(otlp.compression, Compression::Gzip);
    let headers: Vec<(&str, &str)> = otlp.headers.iter().map(|(n, v)| (n.as_str(), v.reveal())).collect();
    assert_eq!(headers, [("x-a", "traces"), ("x-b", "1,2")]);
    let batch = tracing.destinations[0].batch;
    assert_eq!((batch.queue, batch.size, batch.interval), (100, 100, Duration::from_millis(250)));
}

#[test]
fn the_file_beats_the_variable_beats_the_default() {
    let yaml =
        "observability: {tracing: {exporter: {type: otlp, timeout_ms: 7}, resource: {service_name: file}}}";
    let loaded = loaded(
        yaml,
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "9"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://variable:4317"),
            ("OTEL_SERVICE_NAME", "variable"),
        ],
    );
    let tracing = &loaded.settings.observability.tracing;
    assert_eq!(otlp(tracing).timeout, Duration::from_millis(7));
    assert_eq!(otlp(tracing).endpoint, "http://variable:4317");
    assert_eq!(tracing.resource.service_name, "file");
    let winner = |setting: &str| {
        let origin = loaded.origins.iter().find(|origin| origin.setting.ends_with(setting)).expect("noted");
        origin.winner.clone()
    };
    assert_eq!(winner("timeout_ms"), Winner::File);
    assert_eq!(winner("exporter.endpoint"), Winner::Variable("OTEL_EXPORTER_OTLP_ENDPOINT".into()));
    assert_eq!(winner("compression"), Winner::Default);
}

#[test]
fn exporters_and_samplers_by_name() {
    assert!(tracing("", &[("OTEL_TRACES_EXPORTER", "none")]).destinations.is_empty());
    let both = tracing("", &[("OTEL_TRACES_EXPORTER", "otlp, console")]);
    assert_eq!(both.destinations.len(), 2);
    assert_eq!(tracing("", &[]).destinations[0].exporter, Exporter::Stdout(StdoutFormat::Tree));
    let ratio = tracing("", &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")]);
    assert_eq!(ratio.sampling.head, Head::Probabilistic(0.25));
    assert_eq!(ratio.sampling.parent_not_sampled, ParentNotSampled::Ignore);
    let parent = tracing("", &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")]);
    assert_eq!(parent.sampling.head, Head::AlwaysOff);
    assert_eq!(parent.sampling.parent_not_sampled, ParentNotSampled::Respect);
}

#[test]
fn the_deployment_environment_decides_about_sampling() {
    let attributes = |text| tracing("", &[("OTEL_RESOURCE_ATTRIBUTES", text)]);
    let production = attributes("deployment.environment=production,team=a%20b,service.version=v9");
    assert_eq!(production.sampling.head, Head::Probabilistic(0.1));
    assert_eq!(production.resource.attributes, [("team".to_owned(), "a b".to_owned())]);
    assert_eq!(production.resource.service_version, "v9");
    assert_eq!(attributes("deployment.environment.name=staging").sampling.head, Head::AlwaysOn);
    let file = tracing("observability: {tracing: {resource: {deployment_environment: production}}}", &[]);
    assert_eq!(file.sampling.head, Head::Probabilistic(0.1));
}

#[test]
fn switches_propagators_and_content() {
    assert!(!tracing("", &[("OTEL_SDK_DISABLED", "true")]).enabled);
    assert!(tracing("observability: {tracing: {enabled: true}}", &[("OTEL_SDK_DISABLED", "true")]).enabled);
    assert_eq!(
        tracing("", &[("OTEL_PROPAGATORS", "b3,jaeger")]).propagators,
        [Propagator::B3, Propagator::Jaeger]
    );
    let capture = ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    let content = tracing("", &[capture, ("OPENINFERENCE_HIDE_INPUTS", "true")]).destinations[0].content;
    assert!(!content.inputs && content.outputs);
}

#[test]
fn a_variable_that_cannot_be_read_is_a_warning() {
    let loaded = loaded("", &[], &[("OTEL_BSP_MAX_QUEUE_SIZE", "many"), ("OTEL_METRICS_EXPORTER", "otlp")]);
    let text = settings::render(&loaded.warnings);
    assert!(text.contains("OTEL_BSP_MAX_QUEUE_SIZE is left out: expected a whole number"), "{text}");
    assert!(text.contains("OTEL_METRICS_EXPORTER"), "{text}");
}

#[test]
fn without_models_the_provider_of_the_environment_answers() {
    let variables =
        [("OPENAI_BASE_URL", "https://x.example/openai/v1/"), ("OPENAI_API_KEY", "k"), ("OPENAI_MODEL", "m")];
    let settings = loaded("", &[], &variables).settings;
    let endpoint = &settings.models[0].endpoints[0];
    assert_eq!((settings.models[0].name.as_str(), endpoint.scheme), ("m", Scheme::Https));
    assert_eq!((endpoint.path_prefix.as_str(), endpoint.port, endpoint.any_model), ("/openai", 443, true));
    assert!(settings.default_model.is_some());
    let nothing = loaded("", &[], &[]);
    assert!(nothing.settings.models.is_empty() && nothing.settings.default_model.is_none());
    assert!(settings::render(&nothing.warnings).contains("503 no_backend"));
    let key_only = loaded("", &[], &[("OPENAI_API_KEY", "k")]).settings;
    assert_eq!(key_only.models[0].endpoints[0].origin(), "https://api.openai.com:443");
}

#[test]
fn the_file_is_looked_for_in_order() {
    let environment = Environment::from_pairs([("CONFIG_PATH", "/etc/router.yaml")]);
    assert_eq!(locate(Some(Path::new("a.yaml")), &environment), Source::File("a.yaml".into()));
    assert_eq!(locate(None, &environment), Source::File("/etc/router.yaml".into()));
    assert_eq!(locate(None, &Environment::default()), Source::Defaults);
}

#[test]
fn files_are_read_through_links_and_byte_order_marks() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("data.yaml"), folder.path().join("config.yaml"));
    std::fs::write(&file, "\u{feff}shutdown: { drain_seconds: 1 }\n").expect("written");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    #[cfg(not(unix))]
    std::fs::copy(&file, &link).expect("copied");
    let loaded = load(Source::File(link), &[], &Environment::default()).expect("valid");
    assert_eq!(loaded.settings.drain, Duration::from_secs(1));
    std::fs::write(&file, [0xff, 0xfe, 0x00]).expect("written");
    let problems = load(Source::File(file), &[], &Environment::default()).expect_err("not UTF-8");
    assert!(problems.to_string().contains("cannot be read"), "{problems}");
}
