//! What holds for any input.

use bytes::Bytes;
use dialects::Dialect;
use dialects::edit::{Edits, SystemPromptMode};
use dialects::request::ParsedRequest;
use dialects::sse::{SseDecoder, StreamObserver, UsageChunk, UsageChunkFilter, replay};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::streams::{LIMITS, frames};

/// A JSON value as any program might write it, blanks and all.
fn raw_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "0",
            "-1.50",
            "1e+2",
            "123456789012345678901234567890",
            r#""\ud83d""#
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let blank = prop::sample::select(vec!["", " ", "\n\t", "\r\n"]);
        let members = prop::collection::vec(("[a-c\"é]{0,2}", inner.clone()), 0..4);
        prop_oneof![
            (prop::collection::vec(inner, 0..4), blank.clone()).prop_map(|(items, blank)| format!(
                "[{blank}{}{blank}]",
                items.join(&format!("{blank},{blank}"))
            )),
            (members, blank).prop_map(|(members, blank)| object(&members, blank)),
        ]
    })
}

fn object(members: &[(String, String)], blank: &str) -> String {
    let member =
        |(key, value): &(String, String)| format!("{}{blank}:{blank}{value}", Value::from(key.as_str()));
    let members: Vec<String> = members.iter().map(member).collect();
    format!("{{{blank}{}{blank}}}", members.join(&format!("{blank},{blank}")))
}

/// A chat request with members of any kind around the known ones.
fn any_request() -> impl Strategy<Value = String> {
    let unknown = || prop::collection::vec(("x[a-c\"é]{0,2}", raw_json()), 0..4);
    let message = prop_oneof![
        Just(r#"{ "role":"user","content" : "hi" }"#),
        Just(r#"{"content":[{"type":"text","text":"a"},{"type":"image_url"}],"role":"user"}"#),
        Just(r#"{"role":"system","content":"own"}"#),
        Just(r#"{"role":"system","content":[]}"#),
        Just(r#"{"role":"assistant","content":null,"tool_calls":[]}"#),
    ];
    let messages = prop::collection::vec(message, 1..4).prop_map(|all| format!("[ {} ]", all.join(" ,")));
    let model = prop::option::of(Just(r#""auto""#.to_owned()));
    (unknown(), messages, unknown(), model, unknown(), prop::sample::select(vec!["", " ", "\n"])).prop_map(
        |(before, messages, between, model, after, blank)| {
            let known = |key: &str, value| (key.to_owned(), value);
            let mut members = before;
            members.push(known("messages", messages));
            members.extend(between);
            members.extend(model.map(|model| known("model", model)));
            members.extend(after);
            object(&members, blank)
        },
    )
}

/// The top-level members in order, values as they are written.
fn raw_members(body: &[u8]) -> Vec<(String, String)> {
    struct Members(Vec<(String, String)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members;
                fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    formatter.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                        members.push((key, value.get().to_owned()));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_slice::<Members>(body).unwrap().0
}

fn some_edits() -> impl Strategy<Value = Edits> {
    let prompt = prop::option::of((
        prop::sample::select(vec![SystemPromptMode::Replace, SystemPromptMode::Prepend]),
        any::<String>(),
    ));
    let path = prop::sample::select(vec![vec!["kwargs", "on"], vec!["kwargs"], vec!["effort"]]);
    let member =
        path.prop_map(|path| (path.into_iter().map(str::to_owned).collect(), json!({"a": [1, "é"]})));
    (prop::option::of(any::<String>()), prompt, prop::collection::vec(member, 0..3), any::<bool>()).prop_map(
        |(model, system_prompt, members, stream_options_include_usage)| Edits {
            model,
            system_prompt,
            members,
            stream_options_include_usage,
            ..Edits::default()
        },
    )
}

fn stream_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "data: a",
        "data:",
        "data",
        ":c",
        "event: e",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        "\u{feff}",
        "[DONE]",
        "é",
        "data: {\"choices\":[],\"usage\":{}}\n\n",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat().into_bytes())
}

/// The stream in pieces that end at the given places.
fn cut<'a>(stream: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = places.iter().map(|place| place.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &stream[std::mem::replace(&mut start, end)..end]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        for dialect in Dialect::ALL {
            let _ = ParsedRequest::parse(dialect, Bytes::from(body.clone()));
        }
        let mut observer = StreamObserver::new(Dialect::ChatCompletions, LIMITS);
        observer.observe(&body);
        observer.finish();
        let _ = replay(Dialect::ChatCompletions, &body, UsageChunk::Include);
    }

    #[test]
    fn broken_requests_are_read_without_a_panic(body in any_request(), at: prop::sample::Index, byte: u8) {
        let mut body = body.into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(request) = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body)) {
            request.canonical_form(&mut |_| {});
            let edits = Edits { model: Some("m".to_owned()), ..Edits::default() };
            let edited = request.edited(&edits).unwrap();
            prop_assert!(ParsedRequest::parse(Dialect::ChatCompletions, edited).is_ok());
        }
    }

    #[test]
    fn edits_preserve_every_other_member(body in any_request(), edits in some_edits()) {
        let request = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body.clone())).unwrap();
        let edited = request.edited(&edits).unwrap();
        let named = |key: &str| {
            (key == "model" && edits.model.is_some())
                || (key == "messages" && edits.system_prompt.is_some())
                || (key == "stream_options" && edits.stream_options_include_usage)
                || edits.members.iter().any(|(path, _)| path[0] == key)
        };
        let others = |body: &[u8]| {
            let mut members = raw_members(body);
            members.retain(|(key, _)| !named(key));
            members
        };
        prop_assert_eq!(others(&edited), others(body.as_bytes()));
        let value: Value = serde_json::from_str(&raw_members(&edited).into_iter().rfind(|(key, _)| key == "messages").unwrap().1.replace("\\ud83d", "")).unwrap();
        if let Some((_, prompt)) = &edits.system_prompt {
            prop_assert!(value.to_string().contains(Value::from(prompt.as_str()).to_string().trim_matches('"')));
        }
        let again = ParsedRequest::parse(Dialect::ChatCompletions, edited.clone()).unwrap();
        prop_assert_eq!(again.model(), edits.model.as_deref().or(request.model()));
        let repeated = Edits { system_prompt: None, ..edits.clone() };
        prop_assert_eq!(again.edited(&repeated).unwrap(), edited, "an edit made twice changes nothing more");
    }

    #[test]
    fn masking_changes_only_texts(body in any_request(), mask in any::<String>()) {
        let request = ParsedRequest::parse(Dialect::ChatCompletions, Bytes::from(body.clone())).unwrap();
        let masked_texts = request.texts().map(|text| (text.id, mask.clone())).collect();
        let edited = request.edited(&Edits { masked_texts, ..Edits::default() }).unwrap();
        let again = ParsedRequest::parse(Dialect::ChatCompletions, edited).unwrap();
        prop_assert!(again.texts().all(|text| text.text == mask));
        let masked_texts = again.texts().zip(request.texts()).map(|(new, old)| (new.id, old.text.into_owned())).collect();
        let back = again.edited(&Edits { masked_texts, ..Edits::default() }).unwrap();
        prop_assert_eq!(back, Bytes::from(body));
    }

    #[test]
    fn frames_do_not_depend_on_the_cuts(stream in stream_text(), places in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let whole = frames(&[&stream]);
        prop_assert_eq!(&frames(&cut(&stream, &places)), &whole);
        let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.raw().to_vec()).collect();
        prop_assert_eq!(raw, stream);
    }

    #[test]
    fn a_filter_without_usage_chunks_changes_nothing(stream in stream_text(), places in prop::collection::vec(any::<prop::sample::Index>(), 0..8), limit in 1_usize..200) {
        prop_assume!(!String::from_utf8_lossy(&stream).contains("usage"));
        let mut filter = UsageChunkFilter::new(limit);
        let mut passed: Vec<u8> = cut(&stream, &places).iter().flat_map(|chunk| filter.push(chunk).to_vec()).collect();
        passed.extend_from_slice(&filter.finish());
        prop_assert_eq!(passed, stream);
    }

    #[test]
    fn a_text_survives_replay_and_collection(text in any::<String>(), include in any::<bool>()) {
        let completion = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null, "finish_reason": "stop"},
        ], "usage": {"prompt_tokens": 1}});
        let usage = if include { UsageChunk::Include } else { UsageChunk::Omit };
        let stream = replay(Dialect::ChatCompletions, completion.to_string().as_bytes(), usage).unwrap().concat();
        let mut observer = StreamObserver::new(Dialect::ChatCompletions, LIMITS);
        observer.observe(&stream);
        prop_assert_eq!(observer.text(), text);
        let collected: Value = serde_json::from_slice(&observer.completion().unwrap()).unwrap();
        prop_assert_eq!(&collected["choices"], &completion["choices"]);
    }

    #[test]
    fn a_decoder_survives_any_limit(stream in stream_text(), limit in 0_usize..40) {
        let mut decoder = SseDecoder::new(limit);
        decoder.feed(&stream);
        while let Ok(Some(frame)) = decoder.next_frame() {
            prop_assert!(frame.raw().len() <= limit);
        }
    }
}
