//! Requests that a model answers, whole.

use std::sync::Arc;

use http::{Method, StatusCode};
use pipeline::policy::PiiAllowance;
use serde_json::json;
use trace::Stage;
use trace::finding::Finding;

use crate::ports::names;
use crate::support::{
    Router, Setup, backend, chat, endpoint, events, model, policy_of, said, saying, stream,
};

#[tokio::test]
async fn a_chat_goes_to_the_model_of_its_category_and_comes_back() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.chat("What is the derivative of x^3?").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.json()["choices"][0]["message"]["content"].as_str().unwrap().starts_with("large says"));
    assert_eq!(answer.header("x-vsr-selected-category"), "math");
    assert_eq!(answer.header("x-vsr-selected-model"), "large");
    // The model has no family, so that nothing can be switched on.
    assert_eq!(answer.header("x-vsr-selected-reasoning"), "off");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let record = router.kept.one().await;
    let expected = [
        "classification",
        "security.pii_detection",
        "security.jailbreak_detection",
        "cache.lookup",
        "routing.decision",
        "backend.selection",
        "upstream.request",
        "response.processing",
        "cache.store",
    ];
    assert_eq!(names(&record), expected);
    assert_eq!((record.http_status, record.refusal), (Some(200), None));
    assert!(record.fault.is_none() && record.events.is_empty());
    assert!(record.spans().iter().all(|span| !span.cancelled && span.end_ns.is_some()));
    assert_eq!(answer.header("x-trace-id"), record.trace_id.to_string());
    assert_eq!(answer.header("traceresponse"), record.root_context().traceparent());
    assert_eq!(answer.header("server-timing"), format!("trace;desc={}", answer.header("traceresponse")));
    let seen = &large.requests()[0];
    let upstream = record.spans().iter().find(|span| span.stage == Stage::UpstreamRequest).unwrap();
    let parent = format!("00-{}-{}-03", record.trace_id, upstream.id);
    assert_eq!(seen.headers["traceparent"], parent.as_str());
    assert!(matches!(&upstream.finding, Finding::UpstreamRequest(finding) if finding.answer.usage.is_some()));
}

#[tokio::test]
async fn the_same_question_again_comes_from_the_cache_and_as_a_stream_too() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let first = router.chat("a haiku").await;
    router.kept.wait_for(1).await;
    let second = router.chat("a  haiku ").await;
    assert_eq!(second.header("x-vsr-cache-hit"), "true");
    assert_eq!(second.body, first.body);
    let streamed = router.post("/v1/chat/completions", &stream("a haiku")).await;
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    assert!(streamed.body.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(small.requests().len(), 1);
    let records = router.kept.wait_for(3).await;
    assert_eq!(names(&records[1]).last(), Some(&"cache.lookup"));
    assert!(records.iter().all(|record| record.http_status == Some(200) && record.events.is_empty()));
}

#[tokio::test]
async fn completions_and_embeddings_are_forwarded() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let completion = router.post("/v1/completions", &json!({"model": "small", "prompt": "a haiku"})).await;
    assert_eq!(completion.json()["object"], "text_completion");
    let embedding = router.post("/v1/embeddings", &json!({"model": "small", "input": "tea"})).await;
    assert!(embedding.json()["data"][0]["embedding"].is_array());
    let seen: Vec<String> = small.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(seen, ["/v1/completions", "/v1/embeddings"]);
}

#[tokio::test]
async fn unknown_fields_go_on_byte_for_byte() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let body =
        r#"{ "model":"small" , "x_unknown": 1.50e1, "messages":[{"role":"user","content":"tea \u00e9"}] }"#;
    let answer = router.call(router.request(Method::POST, "/v1/chat/completions", body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(small.requests()[0].body, body);
}

#[tokio::test]
async fn a_backends_own_error_passes_through_with_its_body() {
    let (small, large) = (backend("small", &["status=422"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.chat("a haiku").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.json()["error"]["message"].is_string());
    assert!(!answer.header("x-trace-id").is_empty());
    let record = router.kept.one().await;
    assert_eq!((record.http_status, record.fault.is_none()), (Some(422), true));
}

#[tokio::test]
async fn an_answer_without_a_body_is_complete() {
    let (small, large) = (backend("small", &["status=204"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.chat("a haiku").await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::NO_CONTENT, 0));
    let record = router.kept.one().await;
    assert!(record.events.is_empty() && record.spans().iter().all(|span| !span.cancelled));
}

#[tokio::test]
async fn a_caller_s_trace_goes_on_and_its_id_is_kept() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let mut request = router.request(Method::POST, "/v1/chat/completions", chat("a haiku").to_string());
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    request.headers_mut().insert("tracestate", "vendor=1".parse().unwrap());
    request.headers_mut().insert("x-request-id", "mine-7".parse().unwrap());
    let answer = router.call(request).await;
    assert_eq!(answer.header("x-trace-id"), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(answer.header("x-request-id"), "mine-7");
    let seen = &small.requests()[0];
    assert!(
        seen.headers["traceparent"].to_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-")
    );
    assert!(!seen.headers["traceparent"].to_str().unwrap().contains("b7ad6b7169203331"));
    assert_eq!(seen.headers["tracestate"], "vendor=1");
    assert_eq!(seen.headers["x-request-id"], "mine-7");
    let record = router.kept.one().await;
    assert_eq!(record.parent.unwrap().span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(record.sampling.reason, "parent");
}

#[tokio::test]
async fn personal_data_is_masked_for_the_backend_and_comes_back_unmasked() {
    let echo = saying("echo", "You wrote: {prompt}", &[]).await;
    let mut strict =
        Arc::into_inner(model("small", "general", vec![endpoint("echo", echo.address())])).unwrap();
    strict.pii = PiiAllowance::Only(Vec::new());
    let router = Setup::new(policy_of(vec![Arc::new(strict)])).start().await;
    let answer = router.chat("a haiku for a@b.de").await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "You wrote: a haiku for a@b.de");
    let streamed = router.post("/v1/chat/completions", &stream("a haiku for a@b.de")).await;
    assert_eq!(said(&events(&streamed.body)), "You wrote: a haiku for a@b.de");
    for seen in echo.requests() {
        let sent = String::from_utf8(seen.body.to_vec()).unwrap();
        assert!(sent.contains("[EMAIL_ADDRESS_1]") && !sent.contains("a@b.de"), "{sent}");
    }
    assert!(router.kept.wait_for(2).await.iter().all(|record| record.events.is_empty()));
}

#[tokio::test]
async fn a_panic_is_our_fault_and_costs_nobody_else_a_connection() {
    let (small, large) = (backend("small", &[]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    let answer = router.chat("CLASSIFIER PANICS").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    let record = router.kept.one().await;
    assert_eq!(record.fault.as_ref().unwrap().kind, "panic");
    assert_eq!(answer.header("x-trace-id"), record.trace_id.to_string());
    assert_eq!(router.chat("a haiku").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_spans_cover_the_request_from_its_body_to_the_last_byte() {
    // Slow enough that what this machine does besides is not measured.
    let (small, large) = (backend("small", &["slow-head=500"]).await, backend("large", &[]).await);
    let router = Router::of(&small, &large).await;
    router.chat("a haiku").await;
    router.post("/v1/chat/completions", &stream("another haiku")).await;
    for record in router.kept.wait_for(2).await {
        let covered: u64 = record.spans().iter().map(trace::Span::duration_ns).sum();
        let whole = record.duration_ns - record.read_ns;
        assert!(covered * 100 >= whole * 95, "{covered} of {whole} ns");
    }
}
