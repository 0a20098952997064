//! OpenAI's own clients, in front of the router as in front of any provider.

use serde_json::Value;
use tests::configuration::Configuration;
use tests::real_parts::{NODE_MODULES, OpenAi, PYTHON, found};
use tests::router::Router;
use tests::{backend, bounded};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn the_python_client() {
    let Some(python) = found("clients::the_python_client", PYTHON) else { return };
    bounded(every_scenario(OpenAi::Python(python)));
}

#[test]
fn the_javascript_client() {
    let Some(modules) = found("clients::the_javascript_client", NODE_MODULES) else { return };
    bounded(every_scenario(OpenAi::JavaScript(modules)));
}

/// Every scenario of a client against two models. A key is required, so that the clients' own way of sending it counts.
async fn every_scenario(client: OpenAi) {
    let (small, large) = (backend::small().await, backend::large().await);
    // printf %s test-key | sha256sum
    let key = "62af8704764faf8ea82fc61ce9c4c3908b6cb97d463a634e9e587d7c885db0ef";
    let access = format!("access: {{ keys: [{{ name: tests, sha256: {key} }}] }}");
    let router = Router::start(Configuration::two_models(&small, &large).and(&access)).await;
    let url = router.base_url();
    for (scenario, check) in SCENARIOS {
        let told = client.run(scenario, &url, &[]).await;
        assert_eq!(told["headers"]["x-trace-id"].as_str().map(str::len), Some(32), "{scenario}: {told}");
        check(&told);
    }
    let stranger = client.run("plain", &url, &[("API_KEY", "another-key")]).await;
    assert_error(&stranger, "AuthenticationError", 401, "invalid_api_key");
    let seen = [small.requests(), large.requests()].concat();
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("authorization")), "the router's key went on");
    router.end().await;
}

type Check = fn(&Value);

const SCENARIOS: &[(&str, Check)] = &[
    ("plain", |told| {
        assert_eq!((&told["status"], &told["finish_reason"]), (&200.into(), &"stop".into()), "{told}");
        assert!(told["content"].as_str().is_some_and(|said| said.contains("3x^2")), "{told}");
        assert!(told["usage"]["total_tokens"].as_u64() > Some(0), "{told}");
        assert!(told["headers"]["x-vsr-selected-model"].is_string(), "{told}");
    }),
    ("streaming", |told| {
        assert!(told["content"].as_str().is_some_and(|said| said.contains("Steam above the cup")), "{told}");
        assert_eq!((&told["finish_reason"], &told["usage_chunks"]), (&"stop".into(), &0.into()), "{told}");
        assert!(told["chunks"].as_u64() > Some(5), "{told}");
    }),
    ("streaming_usage", |told| {
        assert_eq!(told["usage_chunks"], 1, "{told}");
        assert!(told["usage"]["completion_tokens"].as_u64() > Some(5), "{told}");
    }),
    ("tools", assert_weather),
    ("streaming_tools", assert_weather),
    ("vision", |told| {
        assert_eq!(told["finish_reason"], "stop", "{told}");
        assert!(told["content"].as_str().is_some_and(|said| said.contains("picture")), "{told}");
    }),
    ("json_schema", |told| {
        assert!(told["parsed"]["answer"].is_string(), "{told}");
    }),
    ("embeddings", |told| {
        assert_eq!(told["dimensions"], serde_json::json!([384, 384]), "{told}");
        assert_ne!(told["first_values"][0], told["first_values"][1], "{told}");
    }),
    ("models", |told| {
        assert_eq!(told["models"], serde_json::json!(["auto", "MoM", "small", "large"]), "{told}");
    }),
    ("error_404_model", |told| assert_error(told, "NotFoundError", 404, "model_not_found")),
    ("error_403_jailbreak", |told| assert_error(told, "PermissionDeniedError", 403, "jailbreak_detected")),
    ("completions_legacy", |told| {
        assert!(told["content"].as_str().is_some_and(|said| !said.is_empty()), "{told}");
        assert!(told["usage"]["completion_tokens"].as_u64() <= Some(16), "{told}");
    }),
    ("raw_response_headers", |told| {
        let headers = &told["raw_headers"];
        assert_eq!(
            (&headers["x-trace-id"], &headers["x-request-id"]),
            (&TRACE.into(), &"request-of-a-client".into())
        );
        let parent = headers["traceresponse"].as_str().unwrap_or_default();
        assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-01"), "{told}");
        assert!(headers["server-timing"].as_str().is_some_and(|value| value.contains(TRACE)), "{told}");
    }),
];

fn assert_weather(told: &Value) {
    assert_eq!(told["finish_reason"], "tool_calls", "{told}");
    assert_eq!(told["tool_calls"][0]["name"], "get_weather", "{told}");
    let arguments = told["tool_calls"][0]["arguments"].as_str().unwrap_or_default();
    let arguments: Value = serde_json::from_str(arguments).expect("arguments in JSON");
    assert!(arguments["city"].is_string(), "{told}");
}

fn assert_error(told: &Value, class: &str, status: u16, code: &str) {
    let error = &told["error"];
    assert_eq!((&error["class"], &error["code"]), (&class.into(), &code.into()), "{told}");
    assert_eq!(error["status"], status, "{told}");
}
