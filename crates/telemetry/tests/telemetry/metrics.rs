//! Metrics as Prometheus would scrape them.

use crate::common;

use std::collections::BTreeMap;

use proptest::prelude::*;
use telemetry::metrics::{Format, LegacyNames, Metrics, Names};
use trace::finding::Finding;
use trace::{Stage, Text};

fn metrics(legacy: LegacyNames) -> Metrics {
    let names = Names {
        service: "router",
        routes: &["/v1/chat/completions"],
        error_types: &["upstream_unavailable", "connect"],
    };
    let metrics = Metrics::new(&names, legacy);
    metrics.learn(["llama-3.1-70b", "llama-3.1-8b"], ["math", "physics"]);
    metrics
}

/// Samples by name with labels; fails on anything that is not a comment or a sample.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let sample = line.split(" # ").next().unwrap();
        let (name, value) = sample.rsplit_once(' ').unwrap();
        let value = value.parse().unwrap_or_else(|_| panic!("no number in {line}"));
        assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {name}");
    }
    samples
}

#[test]
fn every_request_is_counted_sampled_or_not() {
    let metrics = metrics(LegacyNames::Kept);
    metrics.fold(&common::forwarded(true));
    metrics.fold(&common::forwarded(false));
    metrics.fold(&common::failed());
    let samples = samples(&metrics.render(Format::Text));
    let expected = [
        (
            "traces_span_metrics_calls_total{span_name=\"semantic_router.request.received\",\
             span_kind=\"SPAN_KIND_SERVER\",status_code=\"STATUS_CODE_UNSET\",service_name=\"router\"}",
            2.0,
        ),
        (
            "traces_span_metrics_calls_total{span_name=\"semantic_router.upstream.request\",\
             span_kind=\"SPAN_KIND_CLIENT\",status_code=\"STATUS_CODE_ERROR\",service_name=\"router\"}",
            2.0,
        ),
        (
            "traces_span_metrics_duration_milliseconds_sum{span_name=\"semantic_router.classification\",\
             span_kind=\"SPAN_KIND_INTERNAL\",status_code=\"STATUS_CODE_UNSET\",service_name=\"router\"}",
            90.0,
        ),
        ("http_requests_total{method=\"POST\",route=\"/v1/chat/completions\",status=\"200\"}", 2.0),
        ("http_requests_total{method=\"POST\",route=\"/v1/chat/completions\",status=\"502\"}", 1.0),
        (
            "http_request_duration_seconds_sum{method=\"POST\",route=\"/v1/chat/completions\",status=\"200\"}",
            1.668,
        ),
        ("traces_received_total{source=\"router\"}", 3.0),
        (
            "gen_ai_client_token_usage_sum{gen_ai_request_model=\"llama-3.1-70b\",\
             gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_token_type=\"output\"}",
            260.0,
        ),
        (
            "gen_ai_client_operation_duration_seconds_count{gen_ai_request_model=\"llama-3.1-70b\",\
             gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",error_type=\"503\"}",
            1.0,
        ),
        (
            "gen_ai_client_operation_time_to_first_chunk_seconds_sum{gen_ai_request_model=\"llama-3.1-70b\",\
             gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\"}",
            0.16,
        ),
        (
            "gen_ai_client_operation_time_per_output_chunk_seconds_count{gen_ai_request_model=\"llama-3.1-70b\",\
             gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\"}",
            200.0,
        ),
        ("llm_model_completion_tokens_total{model=\"llama-3.1-70b\"}", 260.0),
        ("llm_category_classifications_count{category=\"math\"}", 2.0),
        ("llm_model_routing_modifications_total{source_model=\"auto\",target_model=\"llama-3.1-70b\"}", 2.0),
        (
            "llm_reasoning_decisions_total{category=\"math\",model=\"llama-3.1-70b\",enabled=\"true\",\
             effort=\"high\"}",
            2.0,
        ),
        ("llm_model_completion_latency_seconds_count{model=\"llama-3.1-70b\"}", 4.0),
        ("llm_request_errors_total{model=\"auto\",reason=\"upstream_unavailable\"}", 1.0),
    ];
    for (name, value) in expected {
        let found = samples.get(name).unwrap_or_else(|| panic!("no {name} in {samples:#?}"));
        assert!((found - value).abs() < 1e-9, "{name} is {found}, not {value}");
    }
    let cost = samples["semantic_router_cost_usd_total{model=\"llama-3.1-70b\"}"];
    assert!((cost - 2.0 * 0.000_272).abs() < 1e-9, "{cost}");
    assert!(samples["process_uptime_seconds"] >= 0.0);
}

#[test]
fn the_ancestors_names_can_be_switched_off() {
    let metrics = metrics(LegacyNames::Off);
    metrics.fold(&common::forwarded(true));
    assert!(!metrics.render(Format::Text).contains("llm_"));
}

#[test]
fn buckets_are_cumulative_and_agree_with_the_count() {
    let metrics = metrics(LegacyNames::Kept);
    metrics.fold(&common::forwarded(true));
    metrics.fold(&common::failed());
    let samples = samples(&metrics.render(Format::Text));
    let mut last: Option<(String, f64)> = None;
    for line in metrics.render(Format::Text).lines().filter(|line| line.contains("_bucket{")) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let (series, bound) = name.rsplit_once("le=").unwrap();
        let value: f64 = value.parse().unwrap();
        if let Some((before, below)) = &last
            && before == series
        {
            assert!(value >= *below, "{line}");
        }
        if bound.contains("+Inf") {
            let labels = series.trim_end_matches(',');
            let count = labels.replacen("_bucket{", "_count{", 1) + "}";
            assert_eq!(samples[&count], value, "{line}");
        }
        last = Some((series.to_owned(), value));
    }
    assert!(last.is_some());
}

#[test]
fn open_metrics_has_exemplars_of_sampled_traces_only() {
    let sampled = metrics(LegacyNames::Kept);
    sampled.fold(&common::forwarded(true));
    let page = sampled.render(Format::OpenMetrics);
    assert!(page.ends_with("# EOF\n"));
    assert!(page.contains("# TYPE http_requests counter\n"));
    assert!(page.contains("# TYPE llm_category_classifications_count unknown\n"));
    let exemplar = " # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.834 1714564800.834";
    let line = page
        .lines()
        .find(|line| line.starts_with("http_request_duration_seconds_bucket") && line.contains('#'));
    assert!(line.is_some_and(|line| line.contains("le=\"1.0\"") && line.ends_with(exemplar)), "{line:?}");
    assert!(!sampled.render(Format::Text).contains("0af7651916cd43dd"));

    let unsampled = metrics(LegacyNames::Kept);
    unsampled.fold(&common::forwarded(false));
    assert!(!unsampled.render(Format::OpenMetrics).contains(" # {"));
}

#[test]
fn heads_come_once_and_before_their_samples() {
    let metrics = metrics(LegacyNames::Kept);
    metrics.fold(&common::forwarded(true));
    for format in [Format::Text, Format::OpenMetrics] {
        let page = metrics.render(format);
        let mut family = String::new();
        let mut seen = Vec::new();
        for line in page.lines().filter(|line| *line != "# EOF") {
            if let Some(head) = line.strip_prefix("# TYPE ") {
                family = head.split(' ').next().unwrap().to_owned();
                assert!(!seen.contains(&family), "{family} twice");
                seen.push(family.clone());
            } else if !line.starts_with("# HELP ") {
                assert!(line.starts_with(&family), "{line} under {family}");
            }
        }
    }
}

#[test]
fn names_of_a_reload_join_the_known_ones() {
    let metrics = metrics(LegacyNames::Off);
    metrics.learn(["new-model"], []);
    let mut record = common::empty_record(None, false);
    let mut call = common::upstream();
    call.model = "new-model".into();
    let index = record.begin(Stage::UpstreamRequest);
    record.end(index, Finding::UpstreamRequest(Box::new(call)));
    metrics.fold(&record);
    assert!(metrics.render(Format::Text).contains("gen_ai_request_model=\"new-model\""));
}

/// A request whose every name is `number`'s own.
fn named(number: usize) -> trace::Record {
    let mut record = common::forwarded(true);
    let name = format!("n{number}");
    if let Finding::UpstreamRequest(call) = &mut record.stage_mut(Stage::UpstreamRequest).unwrap().finding {
        call.model = name.as_str().into();
        call.provider = name.as_str().into();
        call.endpoint = name.as_str().into();
        call.answer.model = Some(Text::from_outside(&name));
        call.answer.finish_reasons = vec![Text::from_outside(&name)];
    }
    if let Finding::Classification(found) = &mut record.stage_mut(Stage::Classification).unwrap().finding {
        found.category = name.as_str().into();
    }
    record.request.user_id = Some(Text::from_outside(&name));
    record.answering_model = Some(name.as_str().into());
    record.fail(name, Text::trusted("as the test asked"));
    record
}

#[test]
fn a_flood_of_names_makes_no_series() {
    let metrics = metrics(LegacyNames::Kept);
    metrics.fold(&named(0));
    let lines = |metrics: &Metrics| metrics.render(Format::OpenMetrics).lines().count();
    let before = lines(&metrics);
    for number in 1..5000 {
        metrics.fold(&named(number));
    }
    assert_eq!(lines(&metrics), before);
    // Names of ever new configurations are known names, up to a bound.
    let learn = |range: std::ops::Range<usize>| {
        let names: Vec<String> = range.clone().map(|number| format!("n{number}")).collect();
        metrics.learn(names.iter().map(String::as_str), names.iter().map(String::as_str));
        range.for_each(|number| metrics.fold(&named(number)));
    };
    learn(0..5000);
    let full = metrics.render(Format::Text).len();
    learn(5000..10_000);
    let page = metrics.render(Format::Text);
    assert!(page.len() < full + full / 10, "{full} bytes became {}", page.len());
    assert!(!page.contains("\"n9999\"") && page.contains("\"n0\""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_caller_can_make_a_series(
        method in ".{0,12}",
        model in ".{0,12}",
        path in ".{0,12}",
        status in 0_u16..1000,
    ) {
        let metrics = metrics(LegacyNames::Kept);
        let mut known = metrics.render(Format::Text).lines().count();
        for round in 0..3 {
            let mut record = common::failed();
            record.request.method = format!("{method}{round}").into();
            record.request.original_model = Some(Text::from_outside(&format!("x{model}{round}")));
            record.request.path = Text::from_outside(&format!("{path}{round}"));
            record.request.route = "/unknown";
            record.http_status = Some(1000 + status + round);
            metrics.fold(&record);
            let page = metrics.render(Format::Text);
            let other = "http_requests_total{method=\"_OTHER\",route=\"_OTHER\",status=\"_OTHER\"}";
            prop_assert!(page.contains(other), "{}", page);
            if round > 0 {
                prop_assert_eq!(known, page.lines().count());
            }
            known = page.lines().count();
        }
    }
}
