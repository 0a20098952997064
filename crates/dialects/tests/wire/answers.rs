//! Reading, rewriting and writing answers.

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;
use dialects::response::{
    AnswerTextKind, Completion, ErrorBody, ErrorCode, ParsedAnswer, Usage, models_list,
};
use serde_json::{Value, json};

use crate::fixtures::answer;

fn parse(name: &str) -> ParsedAnswer {
    ParsedAnswer::parse(answer(name)).unwrap()
}

#[test]
fn a_chat_answer_is_read() {
    let answer = parse("chat.json");
    assert_eq!(answer.id().unwrap(), "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT");
    assert_eq!(answer.model().unwrap(), "gpt-4.1-2025-04-14");
    assert_eq!(answer.finish_reasons(), ["stop"]);
    assert_eq!(answer.text(), "Hello! Write to [EMAIL_1] or \"call\" us 😀.");
    let usage = Usage {
        prompt_tokens: 19,
        completion_tokens: 10,
        total_tokens: 29,
        cached_tokens: Some(8),
        reasoning_tokens: Some(4),
    };
    assert_eq!(answer.usage(), Some(usage));
    assert_eq!((answer.choice_count(), answer.has_tool_calls(), answer.error()), (1, false, None));
}

#[test]
fn other_answers_are_read() {
    let tools = parse("chat-tools.json");
    assert!(tools.has_tool_calls());
    let arguments: Vec<_> = tools.texts().map(|text| (text.tool, text.kind)).collect();
    assert_eq!(arguments, [(0, AnswerTextKind::ToolArguments), (1, AnswerTextKind::ToolArguments)]);
    assert_eq!(tools.text(), "");
    assert_eq!(parse("completion.json").finish_reasons(), ["length"]);
    let embeddings = parse("embeddings.json");
    let usage = Usage { prompt_tokens: 8, total_tokens: 8, ..Usage::default() };
    assert_eq!(embeddings.usage(), Some(usage));
    assert_eq!(
        (embeddings.choice_count(), embeddings.model().unwrap().as_ref()),
        (0, "text-embedding-ada-002")
    );
    let flat = ParsedAnswer::parse(Bytes::from_static(br#"{"object":"error","message":"no"}"#)).unwrap();
    assert_eq!(flat.error(), Some(r#"{"object":"error","message":"no"}"#));
    assert!(ParsedAnswer::parse(Bytes::from_static(b"<html>")).is_err());
    assert!(ParsedAnswer::parse(Bytes::from_static(b"[]")).is_err());
}

#[test]
fn rewriting_changes_only_the_text() {
    let body = String::from_utf8(answer("chat.json").to_vec()).unwrap();
    let answer = parse("chat.json");
    let found = answer.rewritten(&mut |text| Some(text.text.replace("[EMAIL_1]", "a\"b@c.d")));
    let said = r#"Hello! Write to [EMAIL_1] or \"call\" us \ud83d\ude00."#;
    let expected = body.replace(said, r#"Hello! Write to a\"b@c.d or \"call\" us 😀."#);
    assert_eq!(String::from_utf8(found.to_vec()).unwrap(), expected);
    let untouched = answer.rewritten(&mut |text| Some(text.text.clone().into_owned()));
    assert_eq!(untouched.as_ptr(), answer.body().as_ptr());
}

#[test]
fn a_completion_of_ours_reads_back() {
    for dialect in [Dialect::ChatCompletions, Dialect::Completions] {
        let usage = Usage { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3, ..Usage::default() };
        let completion = Completion {
            dialect,
            id: "chatcmpl-1",
            created: 1,
            model: "m\"n",
            text: "No.\n",
            finish_reason: "content_filter",
            usage,
        };
        let answer = ParsedAnswer::parse(completion.to_bytes()).unwrap();
        assert_eq!((answer.text().as_str(), answer.model().unwrap().as_ref()), ("No.\n", "m\"n"));
        assert_eq!(
            (answer.finish_reasons(), answer.usage()),
            (vec!["content_filter".to_owned()], Some(usage))
        );
        let value: Value = serde_json::from_slice(answer.body()).unwrap();
        let object = if dialect == Dialect::Completions { "text_completion" } else { "chat.completion" };
        assert_eq!(value["object"], object);
    }
}

#[test]
fn error_bodies_have_four_members() {
    let error = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from_static(b"{}")).unwrap_err();
    let body: Value = serde_json::from_slice(&ErrorBody::from(&error).to_bytes()).unwrap();
    let expected = json!({"error": {
        "message": "`messages` is missing.", "type": "invalid_request_error", "param": "messages", "code": "invalid_request",
    }});
    assert_eq!(body, expected);
    let body: Value =
        serde_json::from_slice(&ErrorBody::new(ErrorCode::JailbreakDetected, "Blocked.").to_bytes()).unwrap();
    assert_eq!(body["error"]["param"], Value::Null);
    assert_eq!(body["error"]["code"], "jailbreak_detected");
}

#[test]
fn models_are_listed() {
    let body: Value = serde_json::from_slice(&models_list([("auto", "router")], 7)).unwrap();
    let entry = json!({"id": "auto", "object": "model", "created": 7, "owned_by": "router"});
    assert_eq!(body, json!({"object": "list", "data": [entry]}));
}
