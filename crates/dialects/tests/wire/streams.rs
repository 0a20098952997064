//! Streams: frames, observation, the usage chunk, and the way from a stored answer to a stream and back.

use bytes::Bytes;
use dialects::Dialect;
use dialects::response::{ErrorBody, ErrorCode};
use dialects::sse::{
    DONE, Frame, ObserverLimits, SseDecoder, SseError, StreamObserver, UsageChunk, UsageChunkFilter,
    error_frame, replay, rewrite_frame,
};
use serde_json::Value;

use crate::fixtures::answer;

pub(crate) const LIMITS: ObserverLimits = ObserverLimits { event_bytes: 65_536, collected_bytes: 65_536 };

pub(crate) fn frames(chunks: &[&[u8]]) -> Vec<Frame> {
    let mut decoder = SseDecoder::new(65_536);
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(decoder.finish());
    frames
}

fn data(stream: &str) -> Vec<Option<String>> {
    let text = |frame: &Frame| frame.data().map(|data| String::from_utf8(data.to_vec()).unwrap());
    frames(&[stream.as_bytes()]).iter().map(text).collect()
}

fn observed(dialect: Dialect, stream: &[u8]) -> StreamObserver {
    let mut observer = StreamObserver::new(dialect, LIMITS);
    observer.observe(stream);
    observer.finish();
    observer
}

#[test]
fn frames_follow_the_standard() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(data("data: a\n\ndata:b\r\n\r\ndata:  c\r\r"), [some("a"), some("b"), some(" c")]);
    assert_eq!(data("data: a\ndata\ndata: b\n\n"), [some("a\n\nb")]);
    assert_eq!(data("\u{feff}data: a\n\n\n: note\n\n"), [some("a"), None, None]);
    assert_eq!(data("\u{feff}\ndata: a\n\n"), [None, some("a")]);
    assert_eq!(data("datax: a\nid: 1\n\ndata: [DONE]"), [None, some("[DONE]")]);
    let named = frames(&[b"event: ping\ndata: {}\n\n"]);
    assert_eq!((named[0].event(), named[0].is_done()), (Some("ping"), false));
}

#[test]
fn an_event_is_bounded() {
    let mut decoder = SseDecoder::new(16);
    decoder.feed(b"data: a\n\ndata: ");
    assert!(decoder.next_frame().unwrap().is_some());
    decoder.feed(&[b'x'; 20]);
    assert_eq!(decoder.next_frame(), Err(SseError::EventTooLarge { limit_bytes: 16 }));
    assert_eq!(decoder.take_rest(), [b"data: ".as_slice(), &[b'x'; 20]].concat());
    decoder.feed(b"data: this is whole but too long\n\n");
    assert!(decoder.next_frame().is_err() && decoder.next_frame().is_err());
    let mut observer =
        StreamObserver::new(Dialect::ChatCompletions, ObserverLimits { event_bytes: 16, ..LIMITS });
    observer.observe(&[b'x'; 20]);
    assert!(observer.summary().blinded);
}

#[test]
fn many_small_lines_take_linear_time() {
    let stream = "data:\n".repeat(200_000);
    let mut decoder = SseDecoder::new(usize::MAX);
    decoder.feed(stream.as_bytes());
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.finish().unwrap().data().unwrap().len(), 199_999);
}

#[test]
fn a_chat_stream_is_observed() {
    let stream = answer("chat-stream.txt");
    let mut observer = StreamObserver::new(Dialect::ChatCompletions, LIMITS);
    let mut first = Vec::new();
    for (position, frame) in frames(&[&stream]).iter().enumerate() {
        if observer.read(frame).first_token {
            first.push(position);
        }
    }
    assert_eq!(first, [2], "after the comment and the role");
    let summary = observer.summary();
    assert_eq!(summary.id.as_deref(), Some("chatcmpl-123"));
    assert_eq!(summary.model.as_deref(), Some("gpt-4o-mini"));
    assert_eq!((summary.output_chunks, summary.done, summary.malformed_frames), (2, true, 0));
    assert_eq!(summary.finish_reasons, ["stop"]);
    let usage = summary.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.total_tokens, usage.cached_tokens), (9, 12, Some(2)));
    assert_eq!(observer.text(), "Hello 😀 there", "a pair cut in two is whole again");
}

#[test]
fn errors_and_odd_frames_are_noticed() {
    let error = error_frame(&ErrorBody::new(ErrorCode::UpstreamInvalid, "The backend broke off."));
    let mut observer = StreamObserver::new(Dialect::ChatCompletions, LIMITS);
    observer.observe(b"data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\ndata: not json\n\n");
    assert!(observer.observe(&error).error);
    let summary = observer.summary();
    assert!(summary.error.as_deref().unwrap().contains("broke off"));
    assert_eq!((summary.output_chunks, summary.malformed_frames, summary.done), (1, 1, false));
    observer.observe(DONE);
    assert_eq!(observer.completion(), None);
}

#[test]
fn only_a_whole_answer_is_stored() {
    let stream = String::from_utf8(answer("chat-stream.txt").to_vec()).unwrap();
    let complete =
        |stream: &str| observed(Dialect::ChatCompletions, stream.as_bytes()).completion().is_some();
    assert!(complete(&stream));
    assert!(!complete(&stream.replace("[DONE]", "")));
    assert!(!complete(&stream.replace("\"stop\"", "null")));
    assert!(!complete(&stream.replacen("\"logprobs\":null", "\"logprobs\":{}", 1)));
    let limits = ObserverLimits { collected_bytes: 80, ..LIMITS };
    let mut bounded = StreamObserver::new(Dialect::ChatCompletions, limits);
    bounded.observe(stream.as_bytes());
    assert_eq!(bounded.completion(), None);
}

#[test]
fn tool_calls_are_collected() {
    let observer = observed(Dialect::ChatCompletions, &answer("chat-stream-tools.txt"));
    assert_eq!(observer.summary().output_chunks, 4);
    let completion: Value = serde_json::from_slice(&observer.completion().unwrap()).unwrap();
    let message = &completion["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    let call = |index: usize| {
        let call = &message["tool_calls"][index];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&call["id"]), text(&call["function"]["name"]), text(&call["function"]["arguments"]))
    };
    assert_eq!(call(0), ("call_a".into(), "get_weather".into(), "{\"city\":\"Oslo\"}".into()));
    assert_eq!(call(1), ("call_b".into(), "get_time".into(), "{}".into()));
}

#[test]
fn the_usage_chunk_is_taken_out_and_nothing_else() {
    let stream = String::from_utf8(answer("chat-stream.txt").to_vec()).unwrap();
    let expected: String =
        stream.split_inclusive("\n\n").filter(|frame| !frame.contains("\"choices\":[]")).collect();
    assert_ne!(expected, stream);
    for size in [1, 7, 100, stream.len()] {
        let mut filter = UsageChunkFilter::new(65_536);
        let mut passed = Vec::new();
        for chunk in stream.as_bytes().chunks(size) {
            passed.extend_from_slice(&filter.push(chunk));
        }
        passed.extend_from_slice(&filter.finish());
        assert_eq!(String::from_utf8(passed).unwrap(), expected, "in chunks of {size}");
    }
    let mut small = UsageChunkFilter::new(64);
    let passed = [small.push(stream.as_bytes()), small.push(b"data: x\n\n"), small.finish()].concat();
    assert_eq!(passed, format!("{stream}data: x\n\n").as_bytes(), "too long to hold is passed on");
}

#[test]
fn a_stored_answer_replays_and_is_collected_again() {
    let fixtures = [
        ("chat.json", Dialect::ChatCompletions),
        ("chat-tools.json", Dialect::ChatCompletions),
        ("chat-reasoning.json", Dialect::ChatCompletions),
        ("completion.json", Dialect::Completions),
    ];
    for (name, dialect) in fixtures {
        let stored = answer(name);
        let stream = replay(dialect, &stored, UsageChunk::Include).unwrap().concat();
        let collected = observed(dialect, &stream).completion().unwrap_or_else(|| panic!("{name}"));
        let mut expected: Value = serde_json::from_slice(&stored).unwrap();
        // What no stream carries.
        expected.as_object_mut().unwrap().remove("service_tier");
        if let Some(message) = expected.pointer_mut("/choices/0/message").and_then(Value::as_object_mut) {
            message.remove("annotations");
        }
        assert_eq!(serde_json::from_slice::<Value>(&collected).unwrap(), expected, "{name}");
        let again = replay(dialect, &collected, UsageChunk::Include).unwrap().concat();
        assert_eq!(observed(dialect, &again).completion().unwrap(), collected, "{name}");
    }
}

#[test]
fn a_replay_is_a_proper_stream() {
    let stored = answer("chat-reasoning.json");
    let frames_of = |usage| frames(&[&replay(Dialect::ChatCompletions, &stored, usage).unwrap().concat()]);
    let with_usage = frames_of(UsageChunk::Include);
    let (done, rest) = with_usage.split_last().unwrap();
    assert!(done.is_done());
    let chunks: Vec<Value> =
        rest.iter().map(|frame| serde_json::from_slice(&frame.data().unwrap()).unwrap()).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    assert!(chunks.iter().all(|chunk| chunk["id"] == "chatcmpl-7" && chunk["created"] == 1_757_000_000));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks[1]["choices"][0]["delta"]["reasoning_content"].is_string(), "thoughts come first");
    assert!(chunks.iter().filter(|chunk| chunk["choices"][0]["delta"]["content"].is_string()).count() > 4);
    let (usage, others) = chunks.split_last().unwrap();
    assert_eq!(
        (usage["choices"].as_array().unwrap().len(), &usage["usage"]["total_tokens"]),
        (0, &54.into())
    );
    assert!(others.iter().all(|chunk| chunk["usage"].is_null()));
    assert_eq!(frames_of(UsageChunk::Omit).len(), with_usage.len() - 1);
    assert!(replay(Dialect::ChatCompletions, b"[]", UsageChunk::Omit).is_err());
}

#[test]
fn texts_of_a_frame_are_rewritten() {
    let frame = |raw: &'static [u8]| frames(&[raw]).remove(0);
    let mut unmask = |text: &dialects::response::AnswerText<'_>| Some(text.text.replace("[X]", "\"y\""));
    let one = frame(
        b"event: m\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a [X]\"} , \"x\":\"[X]\"}]}\r\n\r\n",
    );
    let expected =
        "event: m\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a \\\"y\\\"\"} , \"x\":\"[X]\"}]}\r\n\r\n";
    assert_eq!(rewrite_frame(&one, &mut unmask), Bytes::from(expected));
    let two = frame(b"data: {\"choices\":[{\"text\":\ndata: \"[X]\"}]}\n\n");
    assert_eq!(
        rewrite_frame(&two, &mut unmask),
        "data: {\"choices\":[{\"text\":\ndata: \"\\\"y\\\"\"}]}\n\n"
    );
    let done = frame(b"data: [DONE]\n\n");
    assert_eq!(rewrite_frame(&done, &mut unmask).as_ptr(), done.raw().as_ptr());
}
