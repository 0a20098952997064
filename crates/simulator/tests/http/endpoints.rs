//! The shape of every endpoint, as a client sees it.

use crate::support::{ask, chat, get, post, send_h2, start, whole};
use http::StatusCode;
use serde_json::{Value, json};
use simulator::{Answer, Reasoning, Script};

#[tokio::test]
async fn a_chat_answer_has_the_fields_of_a_vllm_server_in_their_order() {
    let simulator = start(Script { cached_tokens: 3, ..Script::default() }).await;
    let answer = ask(&simulator, chat("hi there", json!({}))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["x-simulator"], "simulator");
    let body = answer.json();
    let id = body["id"].as_str().unwrap();
    assert!(id.starts_with("chatcmpl-") && id.len() == "chatcmpl-".len() + 32, "{id}");
    let text = "This is simulated-model, a simulated model. You asked: \"hi there\" A real model would answer that here.";
    let expected = json!({
        "id": id, "object": "chat.completion", "created": 1_750_000_000, "model": "simulated-model",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null, "tool_calls": [], "reasoning_content": null},
            "logprobs": null, "finish_reason": "stop", "stop_reason": null,
        }],
        "system_fingerprint": null,
        "usage": {
            "prompt_tokens": 6, "total_tokens": 25, "completion_tokens": 19,
            "prompt_tokens_details": {"cached_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    });
    assert_eq!(body, expected);
    let at = |field: &str| answer.body.find(field).unwrap();
    assert!(
        at("\"id\"") < at("\"object\"")
            && at("\"created\"") < at("\"choices\"")
            && at("\"choices\"") < at("\"usage\"")
    );
}

#[tokio::test]
async fn the_same_script_gives_the_same_bytes_and_ids_differ_between_requests() {
    let script = Script { seed: 9, ..Script::default() };
    let (first, second) = (start(script.clone()).await, start(script).await);
    let mut seen = Vec::new();
    for simulator in [&first, &second] {
        for _ in 0..2 {
            seen.push(ask(simulator, chat("hi", json!({}))).await.body);
        }
    }
    assert_eq!(seen[..2], seen[2..]);
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_answer() {
    let simulator = start(Script { answer: Answer::familiar(), ..Script::default() }).await;
    let prompt = "Write a haiku about tea";
    let plain = ask(&simulator, chat(prompt, json!({}))).await.json();
    let streamed =
        ask(&simulator, chat(prompt, json!({"stream": true, "stream_options": {"include_usage": true}})))
            .await;
    assert_eq!(streamed.headers["content-type"], "text/event-stream; charset=utf-8");
    let events = streamed.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let text: String =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(json!(text), plain["choices"][0]["message"]["content"]);
    let [.., finish, usage] = &events[..] else { panic!("too short") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &plain["usage"]));
    assert!(events[..events.len() - 1].iter().all(|event| event.get("usage").is_none()));
    assert!(
        events
            .iter()
            .all(|event| event["id"] == events[0]["id"] && event["object"] == "chat.completion.chunk")
    );
    // One frame for the role, one per token, one for the finish, one for usage.
    let tokens = usage["usage"]["completion_tokens"].as_u64().unwrap();
    assert_eq!(events.len() as u64, tokens + 3);

    let silent = ask(&simulator, chat(prompt, json!({"stream": true}))).await;
    assert!(silent.events().iter().all(|event| event.get("usage").is_none()));
}

#[tokio::test]
async fn several_choices_limits_and_stops() {
    let simulator = start(Script { output_tokens: Some(50), ..Script::default() }).await;
    let body = ask(&simulator, chat("hi", json!({"n": 3, "max_tokens": 4}))).await.json();
    assert_eq!(body["choices"].as_array().unwrap().len(), 3);
    assert_eq!(body["choices"][2]["index"], 2);
    assert_eq!(body["choices"][2]["finish_reason"], "length");
    assert_eq!(body["usage"]["completion_tokens"], 12);
    let body = ask(&simulator, chat("hi", json!({"stop": ["model"]}))).await.json();
    assert_eq!(body["choices"][0]["message"]["content"], "This is simulated-");
    assert_eq!(body["choices"][0]["stop_reason"], "model");
    let greedy = start(Script { output_tokens: Some(u32::MAX), ..Script::default() }).await;
    let body = ask(&greedy, chat("hi", json!({"n": 16}))).await.json();
    assert_eq!(body["usage"]["completion_tokens"], 32_768);
    let events = ask(&simulator, chat("hi", json!({"n": 2, "max_tokens": 1, "stream": true}))).await.events();
    let indices: Vec<_> = events.iter().map(|event| event["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 0, 1, 0, 1]);
    assert_eq!(ask(&simulator, chat("hi", json!({"n": 17}))).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn reasoning_comes_first_when_it_is_asked_for() {
    let simulator =
        start(Script { reasoning: Reasoning::WhenAsked, reasoning_tokens: 5, ..Script::default() }).await;
    let on = json!({"chat_template_kwargs": {"enable_thinking": true}, "stream": true});
    let events = ask(&simulator, chat("why", on)).await.events();
    let has = |field: &str| -> Vec<bool> {
        events.iter().map(|event| event["choices"][0]["delta"].get(field).is_some()).collect()
    };
    assert_eq!(has("reasoning_content")[..7], [false, true, true, true, true, true, false]);
    let body = ask(&simulator, chat("why", json!({"reasoning_effort": "high"}))).await.json();
    assert!(body["choices"][0]["message"]["reasoning_content"].as_str().unwrap().contains("why"));
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
    let body = ask(&simulator, chat("why", json!({}))).await.json();
    assert_eq!(body["choices"][0]["message"]["reasoning_content"], Value::Null);
}

#[tokio::test]
async fn a_tool_is_called_whole_and_in_parts() {
    let simulator = start(Script::default()).await;
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    let body = ask(&simulator, chat("What is the weather in Paris?", json!({"tools": tools}))).await.json();
    let choice = &body["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}));
    assert!(call["id"].as_str().unwrap().starts_with("call_") && call["type"] == "function");

    let request = chat("What is the weather in Paris?", json!({"tools": tools, "stream": true}));
    let events = ask(&simulator, request).await.events();
    let calls: Vec<&Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"].get("tool_calls"))
        .map(|calls| &calls[0])
        .collect();
    assert_eq!(calls[0]["function"]["name"], "get_weather");
    assert!(calls[1..].iter().all(|call| call.get("id").is_none()));
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, "{\"city\":\"Paris\"}");
}

#[tokio::test]
async fn a_response_format_gets_json() {
    let simulator = start(Script { output_tokens: Some(500), ..Script::default() }).await;
    let schema =
        json!({"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]});
    let formats = [
        (json!({"type": "json_object"}), json!({"question": "rate it", "answer": "simulated"})),
        (
            json!({"type": "json_schema", "json_schema": {"name": "rating", "schema": schema}}),
            json!({"score": 1}),
        ),
    ];
    for (format, expected) in formats {
        let body = ask(&simulator, chat("rate it", json!({"response_format": format}))).await.json();
        let text = body["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    }
}

#[tokio::test]
async fn legacy_completions() {
    let simulator = start(Script { output_tokens: Some(4), ..Script::default() }).await;
    let body = ask(&simulator, post("/v1/completions", r#"{"model":"simulated-model","prompt":"Once"}"#))
        .await
        .json();
    assert_eq!(
        (&body["object"], &body["choices"][0]["text"]),
        (&json!("text_completion"), &json!("This is simulated-model,"))
    );
    assert!(body["id"].as_str().unwrap().starts_with("cmpl-"));
    let events =
        ask(&simulator, post("/v1/completions", r#"{"prompt":["Once"],"stream":true}"#)).await.events();
    let text: String = events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "This is simulated-model,");
    assert_eq!(
        ask(&simulator, post("/v1/completions", r#"{"prompt":{}}"#)).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn embeddings_in_both_encodings_hold_the_same_numbers() {
    use base64::Engine as _;
    let simulator = start(Script { embedding_dimensions: 8, ..Script::default() }).await;
    let floats = ask(&simulator, post("/v1/embeddings", r#"{"input":["a cat","a dog"]}"#)).await.json();
    let request = r#"{"input":["a cat","a dog"],"encoding_format":"base64"}"#;
    let base64 = ask(&simulator, post("/v1/embeddings", request)).await.json();
    assert_eq!(
        (&floats["object"], &floats["usage"]),
        (&json!("list"), &json!({"prompt_tokens": 4, "total_tokens": 4}))
    );
    for index in 0..2 {
        let text = base64["data"][index]["embedding"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let (numbers, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        let decoded: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let plain: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        assert_eq!((decoded, 8), (plain.clone(), plain.len()));
        assert_eq!(floats["data"][index]["index"], index);
    }
    let wide = ask(&simulator, post("/v1/embeddings", r#"{"input":"a","dimensions":3}"#)).await.json();
    assert_eq!(wide["data"][0]["embedding"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn models_and_health() {
    let simulator = start(Script { models: vec!["a".into(), "b".into()], ..Script::default() }).await;
    let body = ask(&simulator, get("/v1/models")).await.json();
    let ids: Vec<_> =
        body["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(
        (ids, &body["object"], &body["data"][0]["object"]),
        (vec!["a", "b"], &json!("list"), &json!("model"))
    );
    assert_eq!(ask(&simulator, get("/health")).await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn mistakes_get_an_openai_error() {
    let simulator = start(Script::default()).await;
    let unknown = json!({"model": "other", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let cases = [
        (post("/v1/chat/completions", "{"), 400, "invalid_json"),
        (post("/v1/chat/completions", "\u{0}"), 400, "invalid_json"),
        (post("/v1/chat/completions", r#"{"model":"simulated-model"}"#), 400, "invalid_request"),
        (post("/v1/chat/completions", r#"{"messages":[]}"#), 400, "invalid_request"),
        (post("/v1/chat/completions", r#"{"messages":"x"}"#), 400, "invalid_request"),
        (post("/v1/chat/completions", unknown), 404, "model_not_found"),
        (post("/v1/embeddings", r#"{"input":1}"#), 400, "invalid_request"),
        (post("/v1/nothing", "{}"), 404, "not_found"),
        (get("/v1/chat/completions"), 405, "method_not_allowed"),
    ];
    for (request, status, code) in cases {
        let path = request.uri().clone();
        let answer = ask(&simulator, request).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status.as_u16(), error["code"].as_str()), (status, Some(code)), "{path}: {error}");
        assert!(error["message"].is_string() && error["type"] == "invalid_request_error");
        assert_eq!(answer.headers["x-simulator"], "simulator");
    }
    let any = start(Script { any_model: true, ..Script::default() }).await;
    let unknown = json!({"model": "other", "messages": [{"role": "user", "content": "x"}]}).to_string();
    assert_eq!(ask(&any, post("/v1/chat/completions", unknown)).await.json()["model"], "other");
}

#[tokio::test]
async fn http2_is_spoken_on_the_same_port() {
    let simulator = start(Script::default()).await;
    let plain = whole(send_h2(&simulator, chat("hi", json!({}))).await.unwrap()).await;
    assert_eq!(plain.json()["object"], "chat.completion");
    let stream = whole(send_h2(&simulator, chat("hi", json!({"stream": true}))).await.unwrap()).await;
    assert!(stream.events().len() > 3);
}

#[tokio::test]
async fn the_fast_mode_answers_in_the_same_shapes_and_records_nothing() {
    let simulator = start(Script { fast: true, output_tokens: Some(5), ..Script::default() }).await;
    let plain = ask(&simulator, chat("hi", json!({}))).await;
    assert_eq!(plain.headers["content-length"], plain.body.len().to_string());
    assert_eq!(plain.json()["usage"]["completion_tokens"], 5);
    let stream = ask(&simulator, chat("hi", json!({"stream": true}))).await.events();
    assert_eq!(stream.len(), 5 + 3);
    assert_eq!(ask(&simulator, post("/v1/embeddings", r#"{"input":"x"}"#)).await.json()["object"], "list");
    assert_eq!(ask(&simulator, get("/v1/models")).await.json()["data"][0]["id"], "simulated-model");
    assert_eq!(ask(&simulator, get("/nothing")).await.status, StatusCode::NOT_FOUND);
    assert!(simulator.requests().is_empty());
}
