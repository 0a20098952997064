//! What is read from requests, and what is refused.

use bytes::Bytes;
use dialects::Dialect;
use dialects::edit::Edits;
use dialects::request::{ParsedRequest, RequestError, Role, TextKind};

use crate::fixtures::{chat, request, requests};

#[test]
fn every_fixture_passes_through_without_a_copy() {
    let all = requests();
    assert!(all.len() >= 19, "{} fixtures", all.len());
    for (name, dialect, body) in all {
        let parsed =
            ParsedRequest::parse(dialect, body.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let edited = parsed.edited(&Edits::default()).unwrap();
        assert_eq!(edited, body, "{name}");
        assert_eq!(edited.as_ptr(), body.as_ptr(), "{name}: copied");
    }
}

#[test]
fn facts_of_a_stream_request() {
    let request = request("python-stream.json");
    assert_eq!(
        (request.model(), request.stream(), request.include_usage()),
        (Some("auto"), true, Some(true))
    );
    assert_eq!(request.user(), Some("user-17"));
    let sampling = &request.facts().sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.seed), (Some(0.2), Some(0.9), Some(42)));
    assert_eq!((sampling.max_tokens, sampling.n), (Some(64), None));
    assert_eq!(sampling.stop, ["\n\n", "END"]);
    let metadata =
        [("customer", "acme"), ("region", "eu")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(request.metadata(), metadata);
    assert_eq!(request.system_text(), "Be \"brief\".\nAlways.");
    assert_eq!(request.last_user_text(), "What is the derivative of x^3?");
}

#[test]
fn facts_of_tools() {
    let tools = request("python-tools.json");
    let shape = &tools.facts().shape;
    assert!(shape.has_tools && shape.has_tool_choice && !shape.has_images && !shape.has_response_format);
    let results = request("python-tool_results.json");
    assert!(results.ends_with_tool_result());
    assert_eq!(results.tool_results_text(), "{\"celsius\": -3}\n22 °C, sunny");
    let roles: Vec<Role> = results.messages().map(|message| message.role()).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Tool]);
    let arguments = results.texts().filter(|text| text.kind == TextKind::ToolArguments);
    let arguments: Vec<_> = arguments.map(|text| (text.message, text.part, text.text)).collect();
    assert_eq!(arguments, [(1, 0, r#"{"city":"Oslo"}"#.into()), (1, 1, r#"{"city":"Lima"}"#.into())],);
    let custom = request("javascript-tools.json");
    assert!(custom.facts().shape.has_tools && !custom.ends_with_tool_result());
    assert!(custom.texts().any(|text| text.kind == TextKind::Refusal && text.text == "I cannot."));
}

#[test]
fn what_is_said_of_tools_is_every_string_of_several_words() {
    let body = r#"{"messages":[{"role":"user","content":"not this one"}],
        "tools":[{"type":"function","function":{"name":"look_up","description":"Looks a city \u0075p.\n\"Quoted\"",
        "parameters":{"properties":{"city":{"type":"string","enum":["New York","Oslo"],"title":"the \u4e2d city"}}}}}],
        "functions":[{"name":"old","description":"The older form."}]}"#;
    let request = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body)).expect("a request");
    let said = request.tool_descriptions();
    assert_eq!(said, "Looks a city up.\n\"Quoted\"\nNew York\nthe 中 city\nThe older form.");
    let none = chat(r#"{"messages":[{"role":"user","content":"no tools here"}]}"#);
    assert_eq!(none.tool_descriptions(), "");
}

#[test]
fn facts_of_images_sound_and_formats() {
    let image = request("python-image.json");
    assert!(image.facts().shape.has_images);
    assert_eq!(image.last_user_text(), "What is on this picture? 😀");
    assert_eq!(image.system_text(), "Describe.");
    assert!(image.messages().nth(1).unwrap().has_image() && !image.messages().next().unwrap().has_image());
    assert!(request("python-audio.json").facts().shape.has_audio);
    let schema = request("python-json_schema.json");
    assert!(schema.facts().shape.has_response_format);
    assert_eq!(schema.facts().sampling.reasoning_effort.as_deref(), Some("low"));
    let extras = request("python-vllm_extras.json");
    assert_eq!((extras.facts().sampling.n, extras.facts().sampling.top_k), (Some(2), Some(20.0)));
    assert!(extras.facts().shape.has_logprobs);
    assert_eq!(extras.member("big"), Some("1180591620717411303424"));
}

#[test]
fn prompts_and_inputs() {
    let completion = request("python-completion.json");
    assert_eq!(completion.first_user_text(), "Once upon a time");
    assert_eq!(completion.last_user_text(), "There was");
    assert_eq!(completion.conversation_text(), "Once upon a time\nThere was\nThe end.");
    assert_eq!(request("javascript-completion.json").last_user_text(), "Once upon a time");
    let inputs: Vec<String> =
        request("python-embeddings.json").texts().map(|text| text.text.into()).collect();
    assert_eq!(inputs, ["a first text", "a second"]);
    let tokens = request("python-embeddings_tokens.json");
    assert!(tokens.facts().shape.has_token_ids);
    assert_eq!((tokens.texts().count(), tokens.facts().shape.message_count), (0, 2));
}

#[test]
fn odd_spellings_mean_what_they_mean() {
    assert_eq!(request("javascript-stream.json").last_user_text(), "cut: \u{FFFD}");
    assert_eq!(request("javascript-stream.json").facts().sampling.temperature, Some(1e-7));
    let odd = request("handwritten-odd.json");
    assert_eq!(odd.model(), Some("auto"));
    assert_eq!(odd.first_user_text(), "café 😀 / \0 \u{FFFD}");
    assert_eq!(odd.last_user_text(), "one\ntwo");
    assert_eq!(odd.member("exotic"), Some(r#"{"a":1,"a":2}"#));
    assert_eq!(odd.include_usage(), None);
    assert!(odd.facts().shape.has_images && odd.facts().shape.has_files);
}

#[test]
fn a_text_without_escapes_is_borrowed() {
    let request = chat(r#"{"messages":[{"role":"user","content":"plain"}]}"#);
    assert!(matches!(request.last_user_text(), std::borrow::Cow::Borrowed("plain")));
}

fn refusal(dialect: Dialect, body: impl AsRef<[u8]>) -> RequestError {
    ParsedRequest::parse(dialect, Bytes::copy_from_slice(body.as_ref())).unwrap_err()
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let offset = |body: &[u8]| match refusal(Dialect::ChatCompletions, body) {
        RequestError::InvalidJson { offset, .. } => offset,
        other => panic!("{other}"),
    };
    assert_eq!(offset(b""), 0);
    assert_eq!(offset(b"\xef\xbb\xbf{}"), 0);
    assert_eq!(offset(b"{\"messages\":[}"), 13);
    assert_eq!(offset(b"{\"a\":\"\xff\"}"), 6);
    assert_eq!(offset(b"{\"a\":\"\0\"}"), 6);
    assert_eq!(offset(b"{\"a\":1}x"), 7);
    assert_eq!(offset(b"{\"a\":1,}"), 7);
    let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
    assert_eq!(
        refusal(Dialect::ChatCompletions, deep).to_string(),
        "The request body is not valid JSON: nested deeper than 127 levels at byte 131."
    );
}

#[test]
fn what_is_not_a_request_is_refused_with_its_member() {
    let cases = [
        ("[]", None),
        ("{}", Some("messages")),
        (r#"{"messages":[]}"#, Some("messages")),
        (r#"{"messages":"hi"}"#, Some("messages")),
        (r#"{"messages":[1]}"#, Some("messages[0]")),
        (r#"{"messages":[{"content":"hi"}]}"#, Some("messages[0].role")),
        (r#"{"messages":[{"role":1}]}"#, Some("messages[0].role")),
        (r#"{"messages":[{"role":"user","content":1}]}"#, Some("messages[0].content")),
        (r#"{"messages":[{"role":"user","content":[1]}]}"#, Some("messages[0].content[0]")),
        (r#"{"messages":[{"role":"user","content":[{"text":{}}]}]}"#, Some("messages[0].content[0].text")),
        (r#"{"messages":[{"role":"user","content":"a","content":"b"}]}"#, Some("messages[0].content")),
        (r#"{"messages":[{"role":"user"}],"m\u0065ssages":[{"role":"user"}]}"#, Some("messages")),
        (r#"{"model":"a","model":"b"}"#, Some("model")),
        (r#"{"model":1}"#, Some("model")),
        (r#"{"stream":"yes"}"#, Some("stream")),
        (r#"{"stream_options":[]}"#, Some("stream_options")),
        (r#"{"temperature":"hot"}"#, Some("temperature")),
        (r#"{"tools":{}}"#, Some("tools")),
        (r#"{"metadata":3}"#, Some("metadata")),
    ];
    for (body, param) in cases {
        let error = refusal(Dialect::ChatCompletions, body);
        assert!(matches!(error, RequestError::InvalidRequest { .. }), "{body}: {error:?}");
        assert_eq!(error.param(), param, "{body}");
    }
    assert_eq!(refusal(Dialect::Embeddings, "{}").to_string(), "`input` is missing.");
    assert_eq!(refusal(Dialect::Completions, r#"{"prompt":true}"#).param(), Some("prompt"));
}

#[test]
fn a_hundred_thousand_messages_are_read() {
    let message = r#"{"role":"user","content":"hi\n"},"#.repeat(100_000);
    let request = chat(&format!(r#"{{"messages":[{}]}}"#, message.trim_end_matches(',')));
    assert_eq!(request.facts().shape.message_count, 100_000);
    assert_eq!(request.conversation_text().len(), 400_000 - 1);
    assert_eq!(request.last_user_text(), "hi\n");
}
