//! Edits change the bytes that they name.

use dialects::edit::{EditError, Edits, SystemPromptMode};
use dialects::request::{ParsedRequest, TextId};
use serde_json::{Value, json};

use crate::fixtures::{chat, request, requests};

fn edited(request: &ParsedRequest, edits: &Edits) -> String {
    String::from_utf8(request.edited(edits).unwrap().to_vec()).unwrap()
}

fn set(path: &[&str], value: Value) -> Edits {
    Edits { members: vec![(path.iter().map(|key| (*key).to_owned()).collect(), value)], ..Edits::default() }
}

fn prompt(mode: SystemPromptMode) -> Edits {
    Edits { system_prompt: Some((mode, "Be \"kind\".".to_owned())), ..Edits::default() }
}

fn model(name: &str) -> Edits {
    Edits { model: Some(name.to_owned()), ..Edits::default() }
}

#[test]
fn a_model_is_replaced_or_added() {
    let request = chat(r#"{ "model" : "auto" ,"messages":[{"role":"user"}]}"#);
    assert_eq!(edited(&request, &model("a\"b")), r#"{ "model" : "a\"b" ,"messages":[{"role":"user"}]}"#);
    let request = chat(r#"{"messages":[{"role":"user"}] }"#);
    assert_eq!(edited(&request, &model("m")), r#"{"messages":[{"role":"user"}],"model":"m" }"#);
    for (name, dialect, body) in requests() {
        let request = ParsedRequest::parse(dialect, body.clone()).unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let raw_key = if name == "handwritten-odd.json" { "\"mod\\u0065l\"\t:" } else { "\"model\":" };
        let old = request.model().map(|old| format!("{raw_key}\"{old}\""));
        let expected = match old {
            Some(old) => text.replacen(&old, &format!("{raw_key}\"small\""), 1),
            None => text.replacen("]}", r#"],"model":"small"}"#, 1),
        };
        assert_eq!(edited(&request, &model("small")), expected, "{name}");
    }
}

#[test]
fn an_edit_that_changes_nothing_copies_nothing() {
    let request = request("python-stream.json");
    let edits = Edits { stream_options_include_usage: true, ..model("auto") };
    assert_eq!(request.edited(&edits).unwrap().as_ptr(), request.body().as_ptr());
}

#[test]
fn members_are_set_wherever_they_are() {
    let request = chat(r#"{"messages":[{"role":"user"}],"a":{ "b":1, "c" : {} },"d":null}"#);
    let cases = [
        (vec!["a", "b"], r#"{"messages":[{"role":"user"}],"a":{ "b":2, "c" : {} },"d":null}"#),
        (vec!["a", "x"], r#"{"messages":[{"role":"user"}],"a":{ "b":1, "c" : {},"x":2 },"d":null}"#),
        (vec!["a", "c", "x"], r#"{"messages":[{"role":"user"}],"a":{ "b":1, "c" : {"x":2} },"d":null}"#),
        (vec!["d", "x"], r#"{"messages":[{"role":"user"}],"a":{ "b":1, "c" : {} },"d":{"x":2}}"#),
        (vec!["e", "x"], r#"{"messages":[{"role":"user"}],"a":{ "b":1, "c" : {} },"d":null,"e":{"x":2}}"#),
        (vec!["a"], r#"{"messages":[{"role":"user"}],"a":2,"d":null}"#),
    ];
    for (path, expected) in cases {
        assert_eq!(edited(&request, &set(&path, json!(2))), expected, "{path:?}");
    }
}

#[test]
fn several_edits_of_one_object_meet() {
    let request = chat(r#"{"messages":[{"role":"user"}]}"#);
    let member = |path: [&str; 2], value| (path.map(str::to_owned).to_vec(), value);
    let edits = Edits {
        members: vec![
            member(["chat_template_kwargs", "enable_thinking"], json!(true)),
            member(["chat_template_kwargs", "budget"], json!(1)),
            member(["chat_template_kwargs", "budget"], json!(2)),
        ],
        stream_options_include_usage: true,
        ..Edits::default()
    };
    let expected = concat!(
        r#"{"messages":[{"role":"user"}],"stream_options":{"include_usage":true},"#,
        r#""chat_template_kwargs":{"budget":2,"enable_thinking":true}}"#
    );
    let found: Value = serde_json::from_str(&edited(&request, &edits)).unwrap();
    assert_eq!(found, serde_json::from_str::<Value>(expected).unwrap());
}

#[test]
fn a_member_given_twice_is_set_twice() {
    let request = chat(r#"{"messages":[{"role":"user"}],"x":{"on":1},"x":{}}"#);
    let expected = r#"{"messages":[{"role":"user"}],"x":{"on":2},"x":{"on":2}}"#;
    assert_eq!(edited(&request, &set(&["x", "on"], json!(2))), expected);
}

#[test]
fn members_are_removed_with_their_commas() {
    let request = chat(r#"{ "a":1 , "b":2, "messages":[{"role":"user"}] , "c":3,"d":4 }"#);
    let without = |names: &[&str]| Edits {
        removed: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Edits::default()
    };
    let cases = [
        (vec!["a"], r#"{ "b":2, "messages":[{"role":"user"}] , "c":3,"d":4 }"#),
        (vec!["b"], r#"{ "a":1 , "messages":[{"role":"user"}] , "c":3,"d":4 }"#),
        (vec!["d"], r#"{ "a":1 , "b":2, "messages":[{"role":"user"}] , "c":3 }"#),
        (vec!["d", "c", "a", "none"], r#"{ "b":2, "messages":[{"role":"user"}] }"#),
        (vec!["a", "b", "messages", "c", "d"], "{  }"),
    ];
    for (names, expected) in cases {
        assert_eq!(edited(&request, &without(&names)), expected, "{names:?}");
    }
    let everything = Edits { model: Some("m".to_owned()), ..without(&["a", "b", "messages", "c", "d"]) };
    assert_eq!(edited(&request, &everything), r#"{"model":"m"  }"#);
    let anew = Edits { removed: vec!["d".to_owned()], ..set(&["d"], json!(5)) };
    assert_eq!(edited(&request, &anew), r#"{ "a":1 , "b":2, "messages":[{"role":"user"}] , "c":3,"d":5 }"#);
}

#[test]
fn a_system_prompt_finds_its_place() {
    use SystemPromptMode::{Prepend, Replace};
    let cases = [
        (
            Replace,
            r#"[ {"role":"user"}]"#,
            r#"[ {"role":"system","content":"Be \"kind\"."},{"role":"user"}]"#,
        ),
        (
            Prepend,
            r#"[ {"role":"user"}]"#,
            r#"[ {"role":"system","content":"Be \"kind\"."},{"role":"user"}]"#,
        ),
        (
            Replace,
            r#"[{"role":"system","content":"own", "x":1}]"#,
            r#"[{"role":"system","content":"Be \"kind\".", "x":1}]"#,
        ),
        (
            Prepend,
            r#"[{"role":"developer","content":"\u006fwn"}]"#,
            r#"[{"role":"developer","content":"Be \"kind\".\n\n\u006fwn"}]"#,
        ),
        (
            Prepend,
            r#"[{"role":"system","content":[ {"type":"text","text":"own"}]}]"#,
            r#"[{"role":"system","content":[{"type":"text","text":"Be \"kind\"."}, {"type":"text","text":"own"}]}]"#,
        ),
        (
            Prepend,
            r#"[{"role":"system","content":[ ]}]"#,
            r#"[{"role":"system","content":[{"type":"text","text":"Be \"kind\"."} ]}]"#,
        ),
        (Prepend, r#"[{"role":"system","content":null}]"#, r#"[{"role":"system","content":"Be \"kind\"."}]"#),
        (Replace, r#"[{ "role":"system"}]"#, r#"[{"content":"Be \"kind\".", "role":"system"}]"#),
        (
            Replace,
            r#"[{"role":"user"},{"role":"system","content":"a"},{"role":"system","content":"b"}]"#,
            r#"[{"role":"user"},{"role":"system","content":"Be \"kind\"."},{"role":"system","content":"b"}]"#,
        ),
    ];
    for (mode, messages, expected) in cases {
        let request = chat(&format!(r#"{{"messages":{messages}}}"#));
        let found = edited(&request, &prompt(mode));
        let wanted = format!(r#"{{"messages":{expected}}}"#);
        assert_eq!(found, wanted, "{mode:?}");
        assert!(serde_json::from_str::<Value>(&found).is_ok());
    }
    let completion = request("python-completion.json");
    assert_eq!(completion.edited(&prompt(Replace)), Err(EditError::NoMessages("text_completion")));
}

#[test]
fn masks_change_only_their_literals() {
    let body = concat!(
        r#"{"messages":[{"role":"system","content":"own"},"#,
        r#"{"role":"user","content":[{"type":"text","text":"mail a@b.c\t!"},{"type":"image_url","image_url":{"url":"a@b.c"}}]},"#,
        r#"{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"to\":\"a@b.c\"}"}}]}], "user":"a@b.c"}"#
    );
    let request = chat(body);
    let masked = |text: &str| text.replace("a@b.c", "[EMAIL_1]");
    let masked_texts = request.texts().map(|text| (text.id, masked(&text.text))).collect();
    let edits = Edits { masked_texts, ..prompt(SystemPromptMode::Prepend) };
    let expected = body
        .replace("\"own\"", r#""Be \"kind\".\n\nown""#)
        .replace("mail a@b.c", "mail [EMAIL_1]")
        .replace(r#"\"a@b.c\""#, r#"\"[EMAIL_1]\""#);
    assert_eq!(edited(&request, &edits), expected);
    let both =
        Edits { masked_texts: vec![(TextId(0), "mine".to_owned())], ..prompt(SystemPromptMode::Prepend) };
    assert!(edited(&request, &both).contains(r#""content":"Be \"kind\".\n\nmine""#));
    let replaced = Edits { system_prompt: Some((SystemPromptMode::Replace, "new".to_owned())), ..both };
    assert!(edited(&request, &replaced).contains(r#""content":"new"}"#));
    let unknown = Edits { masked_texts: vec![(TextId(99), String::new())], ..Edits::default() };
    assert_eq!(request.edited(&unknown), Err(EditError::UnknownText(99)));
    assert_eq!(request.edited(&set(&[], json!(1))), Err(EditError::EmptyPath));
}

#[test]
fn prompts_and_inputs_are_masked_too() {
    let completion = request("python-completion.json");
    let masked_texts = completion.texts().map(|text| (text.id, text.text.to_uppercase())).collect();
    let found = edited(&completion, &Edits { masked_texts, ..Edits::default() });
    let body = std::str::from_utf8(completion.body()).unwrap();
    let expected = body
        .replace("Once upon a time", "ONCE UPON A TIME")
        .replace("There was", "THERE WAS")
        .replace("The end.", "THE END.");
    assert_eq!(found, expected);
}
