//! What leaves the process beside answers: log lines, and nothing secret in any output.

use serde_json::Value;
use tests::client::{chat, streamed};
use tests::configuration::Configuration;
use tests::router::Router;
use tests::{backend, bounded};

#[test]
fn json_log_lines_name_the_service_and_the_trace() {
    bounded(async {
        let small = backend::small().await;
        let yaml = Configuration::one_model(&small)
            .yaml()
            .replace("observability:\n", "observability:\n  logs: { format: json }\n");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, yaml).expect("a file");
        let arguments = ["--config", file.to_str().expect("a path")];
        let process = tests::process::Process::start(&arguments, &[], folder.path());
        let address = process.stderr.until("the address of the door", |text| {
            let line =
                text.lines().find(|line| line.contains("\"listening\"") && line.contains("\"http\""))?;
            let line: Value = serde_json::from_str(line).ok()?;
            line["address"].as_str()?.parse().ok()
        });
        let client = tests::client::Client::of(address.await);
        let trace = client.chat(&chat("Hi")).await.trace_id().to_owned();
        process.signal("TERM").await;
        let ended = process.ended().await;
        let lines: Vec<Value> =
            ended.stderr.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        assert!(lines.iter().all(|line| line["service.name"] == "vllm-semantic-router"), "{}", ended.stderr);
        let request = lines.iter().find(|line| line["message"] == "request").expect("an access line");
        assert_eq!(
            (&request["trace_id"], &request["status"]),
            (&trace.as_str().into(), &200.into()),
            "{request}"
        );
        assert!(request["span_id"].is_string() && request["duration_ms"].is_number(), "{request}");
    });
}

/// A secret in every place that a caller can write to, and none in any output.
#[test]
fn no_secret_leaves() {
    const SECRET: &str = "sk-proj-Z9x8W7v6U5t4S3r2Q1p0O9n8";
    bounded(async {
        let small = backend::faulty("small", &["status=500@prompt=fail"]).await;
        let router = Router::start(Configuration::one_model(&small)).await;
        let headers = [
            format!("authorization: Bearer {SECRET}"),
            format!("cookie: session={SECRET}"),
            format!("x-request-id: {SECRET}"),
            format!("x-session-id: {SECRET}"),
            format!("user-agent: {SECRET}"),
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            format!("tracestate: vendor={SECRET}"),
            format!("baggage: key={SECRET}"),
        ];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let client = router.client();
        let mut named = chat("Hi");
        named["model"] = SECRET.into();
        let mut of_user = chat(&format!("Is {SECRET} a key? Write to ada@example.com, or fail"));
        of_user["user"] = SECRET.into();
        for body in [named, of_user, streamed(&format!("Again, {SECRET}, of ada@example.com"))] {
            client.chat_with(&headers, &body).await;
        }
        client.post(&format!("/v1/{SECRET}"), &headers, b"{}").await;
        client.post("/v1/chat/completions", &headers, format!("{{\"model\": {SECRET}").as_bytes()).await;
        let metrics = router.door("metrics").await.get("/metrics").await.text();
        let left = router.end().await.0;
        for (output, text) in [("stdout", left.stdout), ("stderr", left.stderr), ("metrics", metrics)] {
            for secret in [SECRET, "ada@example.com"] {
                let line = text.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "{secret} is in {output}");
            }
        }
    });
}

/// Many clients at once: each gets its own answer, and each request leaves one trace.
#[test]
fn no_request_is_lost_among_many() {
    const CLIENTS: usize = 24;
    const EACH: usize = 8;
    bounded(async {
        let (small, large) = (backend::small().await, backend::large().await);
        let router = Router::start(Configuration::two_models(&small, &large)).await;
        let client = router.client();
        let mut clients = tokio::task::JoinSet::new();
        for one in 0..CLIENTS {
            clients.spawn(async move {
                let mut traces = Vec::new();
                for number in 0..EACH {
                    let prompt = format!("How warm is cup {number} of table {one}?");
                    let body = if number % 2 == 0 { chat(&prompt) } else { streamed(&prompt) };
                    let answer = client.chat(&body).await;
                    assert!(answer.complete && answer.content().contains(&prompt), "{}", answer.text());
                    traces.push(answer.trace_id().to_owned());
                }
                traces
            });
        }
        let mut traces: Vec<String> = clients.join_all().await.concat();
        traces.sort_unstable();
        traces.dedup();
        assert_eq!(traces.len(), CLIENTS * EACH);
        let left = router.end().await.0;
        let mut roots: Vec<String> = tests::span::all(&left.stdout)
            .into_iter()
            .filter(|span| span.name == "semantic_router.request.received")
            .map(|span| span.trace_id)
            .collect();
        roots.sort_unstable();
        assert_eq!(roots, traces);
    });
}
