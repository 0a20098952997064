//! The life of a forwarded request, fed with bytes as a door feeds it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use common::*;
use pipeline::exchange::{AnswerHead, Exchange, HeadVerdict, Lost, UpstreamFault, UpstreamFaultKind};
use pipeline::outcome::Outcome;
use pipeline::policy::{PiiAllowance, Policy};
use pipeline::request::Request;
use trace::content::{Capture, Message};
use trace::finding::Finding;
use trace::{EventKind, Record, SpanStatus, Stage};

const JSON_ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#;

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-2\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"small\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn exchange(policy: Policy, request: &Request) -> (Exchange, Ports, Arc<Kept>) {
    let (pipeline, ports) = pipeline(policy);
    let (exchange, kept) = again(&pipeline, request);
    (exchange, ports, kept)
}

fn again(pipeline: &Arc<pipeline::Pipeline>, request: &Request) -> (Exchange, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let mut record = active(&kept);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let Outcome::Forward(plan) = runtime.block_on(pipeline.decide(request, &mut record)) else {
        panic!("the request is not forwarded")
    };
    (Exchange::new(Arc::clone(pipeline), request.clone(), plan, record), kept)
}

fn head(status: u16, kind: &str) -> AnswerHead {
    AnswerHead { status, content_type: Some(kind.to_owned()) }
}

fn only(kept: &Kept) -> Record {
    let records = kept.0.lock().unwrap();
    assert_eq!(records.len(), 1);
    records[0].clone()
}

fn upstream(record: &Record) -> Vec<(&trace::Span, &trace::finding::UpstreamRequest)> {
    let spans = record.spans().iter().filter_map(|span| match &span.finding {
        Finding::UpstreamRequest(finding) => Some((span, &**finding)),
        _ => None,
    });
    spans.collect()
}

#[test]
fn a_json_answer_passes_and_is_read_in_passing() {
    let (mut exchange, ports, kept) = exchange(policy(), &ask("Write a haiku"));
    let attempt = exchange.attempt().unwrap();
    let body = String::from_utf8(attempt.body.to_vec()).unwrap();
    assert_eq!(
        body,
        r#"{"model":"small","messages":[{"role":"user","content":"Write a haiku"}],"chat_template_kwargs":{"enable_thinking":false}}"#
    );
    assert_eq!(exchange.head(&head(200, "application/json")), HeadVerdict::Forward { keeps_length: true });
    exchange.record_mut().unwrap().http_status = Some(200);
    let (first, rest) = JSON_ANSWER.split_at(40);
    assert_eq!(exchange.chunk(Bytes::from(first)), Some(Bytes::from(first)));
    assert_eq!(exchange.chunk(Bytes::from(rest)), Some(Bytes::from(rest)));
    assert_eq!(exchange.end(), None);
    assert_eq!(ports.backends.in_use.load(Ordering::SeqCst), 1);
    drop(exchange);
    assert_eq!(ports.backends.in_use.load(Ordering::SeqCst), 0, "the permit is back");
    let record = only(&kept);
    assert_eq!(
        names(&record)[5..],
        ["backend.selection", "upstream.request", "response.processing", "cache.store"]
    );
    let (span, finding) = upstream(&record)[0];
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(finding.answer.usage.unwrap().total(), 15);
    assert!((finding.cost.unwrap().total() - 20e-6).abs() < 1e-12);
    let (_, answer) = &ports.cache.0.lock().unwrap()[0];
    assert_eq!(answer.body, JSON_ANSWER);
    assert_eq!(answer.origin.trace_id, record.trace_id);
}

#[test]
fn the_same_question_is_answered_from_the_cache_as_json_and_as_a_stream() {
    let (pipeline, _) = pipeline(policy());
    let (mut first, _) = again(&pipeline, &ask("Write a haiku"));
    first.attempt().unwrap();
    first.head(&head(200, "application/json"));
    first.chunk(Bytes::from(JSON_ANSWER));
    first.end();
    drop(first);
    let streamed = request(
        r#"{"model":"auto","stream":true,"messages":[{"role":"user","content":" Write  a haiku "}]}"#,
    );
    let mut record = record();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let Outcome::Answer(hit) = runtime.block_on(pipeline.decide(&streamed, &mut record)) else {
        panic!("a miss")
    };
    let prepared = pipeline::replay::stored(&streamed, &hit.answer.body);
    assert_eq!(prepared.content_type, "text/event-stream");
    assert_eq!(prepared.pieces.last().unwrap(), "data: [DONE]\n\n");
    assert_eq!(record.spans().last().unwrap().links.len(), 1, "the hit links to the trace that made it");
}

#[test]
fn a_stream_passes_and_the_usage_chunk_that_we_asked_for_does_not() {
    let asked = request(r#"{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    let (mut exchange, ports, kept) = exchange(policy(), &asked);
    let attempt = exchange.attempt().unwrap();
    assert!(String::from_utf8_lossy(&attempt.body).contains(r#""include_usage":true"#));
    exchange.head(&head(200, "text/event-stream; charset=utf-8"));
    let content = chunk(r#"{"content":"Hi"}"#, "null") + &chunk("{}", "\"stop\"");
    let usage = "data: {\"id\":\"chatcmpl-2\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"small\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n";
    let stream = format!("{content}{usage}data: [DONE]\n\n");
    let mut seen = Vec::new();
    for piece in stream.as_bytes().chunks(7) {
        seen.extend(exchange.chunk(Bytes::copy_from_slice(piece)).unwrap_or_default());
    }
    seen.extend(exchange.end().unwrap_or_default());
    assert_eq!(String::from_utf8(seen).unwrap(), format!("{content}data: [DONE]\n\n"));
    drop(exchange);
    let record = only(&kept);
    let (span, finding) = upstream(&record)[0];
    assert_eq!(finding.answer.usage.unwrap().prompt, 3);
    assert!(finding.answer.first_token_ns.unwrap() >= span.start_ns);
    assert_eq!(span.events[0].kind, EventKind::FirstToken);
    assert_eq!(ports.cache.0.lock().unwrap().len(), 1, "a stream is stored when it has finished");
}

/// What a client sees of a stream that its backend closes in good order after these bytes, and how many answers were stored.
fn closed_after(stream: &str) -> (String, usize, Option<String>) {
    let asked = request(r#"{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    let (mut exchange, ports, kept) = exchange(policy(), &asked);
    exchange.attempt().unwrap();
    exchange.head(&head(200, "text/event-stream"));
    exchange.record_mut().unwrap().http_status = Some(200);
    let mut seen = exchange.chunk(Bytes::copy_from_slice(stream.as_bytes())).unwrap_or_default().to_vec();
    seen.extend(exchange.end().unwrap_or_default());
    drop(exchange);
    let stored = ports.cache.0.lock().unwrap().len();
    (String::from_utf8(seen).unwrap(), stored, only(&kept).fault.as_ref().map(|fault| fault.kind.to_string()))
}

/// As `transformers serve` does it.
#[test]
fn a_whole_stream_without_done_gets_one_and_is_stored() {
    let content = chunk(r#"{"content":"Hi"}"#, "null");
    let whole = content.clone() + &chunk("{}", "\"length\"");
    assert_eq!(closed_after(&whole), (format!("{whole}data: [DONE]\n\n"), 1, None));
    let said = format!("{whole}data: [DONE]\n\n");
    assert_eq!(closed_after(&said), (said.clone(), 1, None), "only one");
    let open = whole.trim_end();
    let (seen, _, fault) = closed_after(open);
    assert!(seen.ends_with("}\n\ndata: [DONE]\n\n"), "an event left open does not swallow it: {seen}");
    assert_eq!(fault, None);
    let error = "data: {\"error\":{\"message\":\"no memory\"}}\n\n";
    let (seen, stored, fault) = closed_after(&format!("{whole}{error}"));
    assert!(seen.ends_with(error), "{seen}");
    assert_eq!((stored, fault.as_deref()), (0, Some("stream_error")));
}

#[test]
fn a_stream_with_an_event_too_long_to_read_is_the_backends_own_affair() {
    let long =
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "a".repeat(2 << 20));
    for end in [chunk("{}", "\"stop\""), "data: [DONE]\n\n".to_owned(), String::new()] {
        let stream = format!("{long}{end}");
        assert!(closed_after(&stream) == (stream.clone(), 0, None), "something was added before {end:?}");
    }
}

fn masked_stream(pieces: &[&str]) -> String {
    let mut policy = policy();
    for (index, (name, category)) in [("small", "general"), ("large", "reasoning")].into_iter().enumerate() {
        let mut model = model(name, category, &["e"]);
        model.pii = PiiAllowance::Only(Vec::new());
        policy.models[index] = Arc::new(model);
    }
    let asked = request(r#"{"stream":true,"messages":[{"role":"user","content":"write to a@b.de"}]}"#);
    let (mut exchange, _, kept) = exchange(policy, &asked);
    let attempt = exchange.attempt().unwrap();
    assert!(String::from_utf8_lossy(&attempt.body).contains("write to [EMAIL_ADDRESS_1]"));
    exchange.head(&head(200, "text/event-stream"));
    let mut seen = Vec::new();
    for piece in pieces {
        let frame = chunk(&format!(r#"{{"content":{piece:?}}}"#), "null");
        seen.extend(exchange.chunk(Bytes::from(frame)).unwrap_or_default());
    }
    for frame in [chunk("{}", "\"stop\""), "data: [DONE]\n\n".to_owned()] {
        seen.extend(exchange.chunk(Bytes::from(frame)).unwrap_or_default());
    }
    seen.extend(exchange.end().unwrap_or_default());
    drop(exchange);
    let record = only(&kept);
    assert!(!names(&record).contains(&"cache.store"), "an answer with placeholders is for one caller");
    let mut observer = dialects::sse::StreamObserver::new(
        dialects::Dialect::ChatCompletions,
        dialects::sse::ObserverLimits { event_bytes: 1 << 20, collected_bytes: 1 << 20 },
    );
    observer.observe(&seen);
    assert!(observer.summary().done);
    assert_eq!(observer.summary().finish_reasons, ["stop"]);
    observer.text()
}

#[test]
fn placeholders_in_a_stream_become_the_callers_data_again_wherever_they_are_cut() {
    assert_eq!(masked_stream(&["Sent to [EMAIL_ADDRESS_1]."]), "Sent to a@b.de.");
    assert_eq!(masked_stream(&["Sent to [EMAIL", "_ADDR", "ESS_1], fine"]), "Sent to a@b.de, fine");
    assert_eq!(masked_stream(&["an open [EMAIL"]), "an open [EMAIL");
    assert_eq!(masked_stream(&["[", "x]", "[", "EMAIL_ADDRESS_1]"]), "[x]a@b.de");
}

#[test]
fn an_overloaded_backend_is_followed_by_the_next_one() {
    let (mut exchange, ports, kept) = exchange(policy(), &ask("Write a haiku"));
    assert_eq!(&*exchange.attempt().unwrap().endpoint.name, "small-1");
    assert_eq!(exchange.head(&head(503, "application/json")), HeadVerdict::Retry);
    assert_eq!(&*exchange.attempt().unwrap().endpoint.name, "small-2");
    exchange.head(&head(200, "application/json"));
    exchange.chunk(Bytes::from(JSON_ANSWER));
    exchange.end();
    drop(exchange);
    let record = only(&kept);
    let attempts = upstream(&record);
    assert_eq!(attempts.len(), 2);
    assert!(matches!(&attempts[0].0.status, SpanStatus::Error { kind, .. } if kind == "503"));
    assert!(matches!(&attempts[0].0.events[0].kind, EventKind::UpstreamRetry { reason } if reason == "503"));
    assert_eq!(attempts[1].1.attempt, 2);
    assert!(record.fault.is_none(), "the request succeeded");
    assert_eq!(ports.backends.reports.lock().unwrap().len(), 2);
}

#[test]
fn when_every_attempt_fails_the_client_hears_of_the_last() {
    let (mut exchange, _, kept) = exchange(policy(), &ask("Write a haiku"));
    let fault = || UpstreamFault::new(UpstreamFaultKind::Unreachable, "connection refused");
    exchange.attempt().unwrap();
    assert_eq!(exchange.lost(fault()), Lost::Retry);
    exchange.attempt().unwrap();
    let Lost::Refuse(refusal) = exchange.lost(fault()) else { panic!("no endpoint is left") };
    assert_eq!(refusal.code.as_str(), "upstream_unreachable");
    drop(exchange);
    let record = only(&kept);
    assert_eq!(record.fault.as_ref().unwrap().kind, "upstream_unreachable");
    assert_eq!(upstream(&record).len(), 2);
}

#[test]
fn a_timeout_is_not_tried_again() {
    let (mut exchange, _, _) = exchange(policy(), &ask("Write a haiku"));
    exchange.attempt().unwrap();
    let lost = exchange.lost(UpstreamFault::new(UpstreamFaultKind::FirstTokenTimeout, "nothing in time"));
    assert!(matches!(lost, Lost::Refuse(refusal) if refusal.code.as_str() == "upstream_timeout"));
}

#[test]
fn a_stream_that_breaks_ends_with_an_error_frame_and_without_done() {
    let asked = request(r#"{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    let (mut exchange, ports, kept) = exchange(policy(), &asked);
    exchange.attempt().unwrap();
    exchange.head(&head(200, "text/event-stream"));
    exchange.record_mut().unwrap().http_status = Some(200);
    exchange.chunk(Bytes::from(chunk(r#"{"content":"Hi"}"#, "null")));
    let last = exchange.end().expect("an error frame");
    let text = String::from_utf8(last.to_vec()).unwrap();
    assert!(text.contains(r#""error":"#) && !text.contains("[DONE]"), "{text}");
    drop(exchange);
    let record = only(&kept);
    assert_eq!(record.fault.as_ref().unwrap().kind, "upstream_invalid");
    assert!(ports.cache.0.lock().unwrap().is_empty());
}

/// Whether the router looks into the events (it added usage) or lets them through (the client asked for it itself).
#[test]
fn half_an_event_does_not_swallow_the_error_frame() {
    for options in ["", r#""stream_options":{"include_usage":true},"#] {
        let body = format!(
            r#"{{"model":"small","stream":true,{options}"messages":[{{"role":"user","content":"hi"}}]}}"#
        );
        let (mut exchange, _, _) = exchange(policy(), &request(&body));
        exchange.attempt().unwrap();
        exchange.head(&head(200, "text/event-stream"));
        exchange.record_mut().unwrap().http_status = Some(200);
        let whole = chunk(r#"{"content":"Hi"}"#, "null");
        let half = format!("{whole}{}", &whole[..whole.len() / 2]);
        let first = exchange.chunk(Bytes::from(half)).unwrap_or_default();
        let last = exchange.end().expect("an error frame");
        let text = String::from_utf8([first, last].concat()).unwrap();
        assert!(text.contains("\n\ndata: {\"error\":"), "{text}");
    }
}

#[test]
fn a_stream_that_the_backend_ends_with_an_error_needs_no_second_one() {
    let asked = request(r#"{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}"#);
    let (mut exchange, ports, kept) = exchange(policy(), &asked);
    exchange.attempt().unwrap();
    exchange.head(&head(200, "text/event-stream"));
    exchange.record_mut().unwrap().http_status = Some(200);
    exchange.chunk(Bytes::from(chunk(r#"{"content":"Hi"}"#, "null")));
    let error = Bytes::from("data: {\"error\":{\"message\":\"out of memory\",\"code\":\"engine\"}}\n\n");
    assert_eq!(exchange.chunk(error.clone()), Some(error));
    assert_eq!(exchange.end(), None);
    drop(exchange);
    let record = only(&kept);
    assert_eq!(record.fault.as_ref().unwrap().kind, "stream_error");
    assert!(
        matches!(&upstream(&record)[0].0.status, SpanStatus::Error { kind, .. } if kind == "stream_error")
    );
    assert!(ports.cache.0.lock().unwrap().is_empty());
}

#[test]
fn html_is_not_an_answer() {
    let (mut exchange, _, _) = exchange(policy(), &ask("Write a haiku"));
    exchange.attempt().unwrap();
    let HeadVerdict::Invalid(fault) = exchange.head(&head(200, "text/html")) else { panic!("html passed") };
    assert_eq!(fault.kind, UpstreamFaultKind::Invalid);
}

#[test]
fn a_client_that_leaves_leaves_a_truthful_record() {
    let (mut exchange, ports, kept) = exchange(policy(), &ask("Write a haiku"));
    exchange.attempt().unwrap();
    exchange.head(&head(200, "application/json"));
    exchange.chunk(Bytes::from(&JSON_ANSWER[..20]));
    drop(exchange);
    let record = only(&kept);
    let (span, finding) = upstream(&record)[0];
    assert!(span.cancelled);
    assert_eq!(finding.http_status, Some(200));
    assert_eq!(span.status, SpanStatus::Unset);
    assert!(record.events.iter().any(|event| event.kind == EventKind::ClientDisconnected));
    assert!(record.spans().iter().all(|span| span.end_ns.is_some()));
    assert_eq!(ports.backends.in_use.load(Ordering::SeqCst), 0);
}

#[test]
fn a_backends_own_error_passes_through() {
    let (mut exchange, ports, kept) = exchange(policy(), &ask("Write a haiku"));
    exchange.attempt().unwrap();
    assert_eq!(exchange.head(&head(400, "application/json")), HeadVerdict::Forward { keeps_length: true });
    let error = Bytes::from(r#"{"error":{"message":"too long"}}"#);
    assert_eq!(exchange.chunk(error.clone()), Some(error));
    exchange.end();
    drop(exchange);
    let record = only(&kept);
    assert!(matches!(&upstream(&record)[0].0.status, SpanStatus::Error { kind, .. } if kind == "400"));
    assert!(record.fault.is_none());
    assert!(ports.cache.0.lock().unwrap().is_empty());
    assert!(!record.spans().iter().any(|span| span.stage == Stage::CacheStore));
}

/// A request that is forwarded and answered while the record wants `capture`.
fn captured(capture: Capture, request: &Request, kind: &str, chunks: &[&str]) -> Record {
    let (mut exchange, _, kept) = exchange(policy(), request);
    exchange.record_mut().unwrap().capture = capture;
    exchange.attempt().unwrap();
    exchange.head(&head(200, kind));
    for chunk in chunks {
        exchange.chunk(Bytes::copy_from_slice(chunk.as_bytes()));
    }
    exchange.end();
    drop(exchange);
    only(&kept)
}

fn said(messages: &[Message]) -> Vec<(&'static str, Vec<&str>)> {
    let each = messages.iter().map(|message| {
        let texts = message.parts.iter().map(|part| part.content.as_str());
        (message.role, texts.collect())
    });
    each.collect()
}

const EVERYTHING: Capture = Capture { inputs: true, outputs: true };

#[test]
fn without_capture_no_word_of_a_prompt_or_an_answer_is_kept() {
    let record = captured(Capture::NOTHING, &ask("a haiku"), "application/json", &[JSON_ANSWER]);
    assert_eq!(record.content, None);
}

#[test]
fn a_prompt_and_its_answer_are_kept_where_they_are_wanted() {
    let body = r#"{"model":"auto","messages":[{"role":"system","content":"Be brief."},
        {"role":"user","content":[{"type":"text","text":"a haiku"},{"type":"text","text":"with key sk-abcdefgh12345678"}]}]}"#;
    let content = captured(EVERYTHING, &request(body), "application/json", &[JSON_ANSWER]).content.unwrap();
    let expected = [("system", vec!["Be brief."]), ("user", vec!["a haiku", "with key __REDACTED__"])];
    assert_eq!(said(&content.inputs), expected);
    assert_eq!(said(&content.outputs), [("assistant", vec!["Hello"])]);
    assert_eq!(content.outputs[0].finish_reason.as_ref().map(AsRef::as_ref), Some("stop"));
    let only_outputs = Capture { inputs: false, outputs: true };
    let record = captured(only_outputs, &ask("a haiku"), "application/json", &[JSON_ANSWER]);
    let content = record.content.unwrap();
    assert_eq!((content.inputs.len(), content.outputs.len()), (0, 1));
}

#[test]
fn a_streamed_answer_is_kept_as_one_text() {
    let request =
        request(r#"{"model":"auto","stream":true,"messages":[{"role":"user","content":"a haiku"}]}"#);
    let chunks =
        [chunk(r#"{"role":"assistant","content":"Hel"}"#, "null"), chunk(r#"{"content":"lo"}"#, "\"stop\"")];
    let chunks = [chunks[0].as_str(), chunks[1].as_str(), "data: [DONE]\n\n"];
    let content = captured(EVERYTHING, &request, "text/event-stream", &chunks).content.unwrap();
    assert_eq!(said(&content.outputs), [("assistant", vec!["Hello"])]);
}

#[test]
fn personal_data_is_in_no_trace_whether_the_policy_masks_or_not() {
    let answer = JSON_ANSWER.replace("Hello", "Dear a@b.de and [EMAIL_ADDRESS_1]");
    let mut unmasking = policy();
    unmasking.decisions.truncate(1);
    unmasking.signals.truncate(1);
    for policy in [policy(), unmasking] {
        let (mut exchange, _, kept) = exchange(policy, &ask("a haiku for a@b.de, 4111111111111111"));
        exchange.record_mut().unwrap().capture = EVERYTHING;
        exchange.attempt().unwrap();
        exchange.head(&head(200, "application/json"));
        exchange.chunk(Bytes::from(answer.clone()));
        exchange.end();
        drop(exchange);
        let content = only(&kept).content.unwrap();
        let all = format!("{:?}{:?}", said(&content.inputs), said(&content.outputs));
        assert!(!all.contains("a@b.de") && !all.contains("4111"), "{all}");
        assert!(all.contains("a haiku for") && all.contains("Dear"), "{all}");
    }
}

#[test]
fn an_attempt_that_breaks_or_a_client_that_leaves_keeps_the_prompt() {
    let (mut exchange, _, kept) = exchange(policy(), &ask("a haiku"));
    exchange.record_mut().unwrap().capture = EVERYTHING;
    exchange.attempt().unwrap();
    drop(exchange);
    let content = only(&kept).content.unwrap();
    assert_eq!((said(&content.inputs), said(&content.outputs)), (vec![("user", vec!["a haiku"])], vec![]));
}

#[test]
fn what_no_destination_can_get_is_not_kept() {
    let (mut exchange, _, kept) = exchange(policy(), &ask("a haiku"));
    let record = exchange.record_mut().unwrap();
    record.capture = EVERYTHING;
    record.sampling.sampled = false;
    exchange.attempt().unwrap();
    drop(exchange);
    assert_eq!(only(&kept).content, None);
}

#[test]
fn a_long_conversation_keeps_its_end() {
    let long = "word ".repeat(5000);
    let message = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let messages = [message("user", &long), message("assistant", &long), message("user", "the last")];
    let request = request(&format!(r#"{{"model":"auto","messages":[{}]}}"#, messages.join(",")));
    let content = captured(EVERYTHING, &request, "application/json", &[JSON_ANSWER]).content.unwrap();
    let kept = said(&content.inputs);
    assert_eq!(kept.last(), Some(&("user", vec!["the last"])));
    assert!(kept[0].1[0].ends_with("[cut]"), "{}", kept[0].1[0]);
    let bytes: usize = kept.iter().flat_map(|(_, texts)| texts).map(|text| text.len()).sum();
    assert!((20_000..34_000).contains(&bytes), "{bytes}");
}

/// Behind a proxy that retries by its own rules, a busy backend's answer is the answer.
#[test]
fn an_attempt_in_the_hands_of_others_is_the_only_one() {
    let (mut exchange, _, kept) = exchange(policy(), &ask("What is the derivative?"));
    exchange.attempt().unwrap();
    exchange.hand_over();
    let verdict = exchange.head(&head(503, "application/json"));
    assert_eq!(verdict, HeadVerdict::Forward { keeps_length: true });
    exchange.end();
    drop(exchange);
    assert_eq!(upstream(&only(&kept)).len(), 1);
}

#[test]
fn an_answer_of_which_only_the_head_is_seen_is_not_claimed_to_be_read() {
    // Its endpoints are ones that are asked for counts.
    let body = r#"{"stream":true,"messages":[{"role":"user","content":"What is the derivative?"}]}"#;
    let (mut exchange, _, kept) = exchange(policy(), &request(body));
    exchange.sees_only_head();
    let attempt = exchange.attempt().unwrap();
    assert!(!String::from_utf8_lossy(&attempt.body).contains("include_usage"));
    exchange.head(&head(200, "text/event-stream"));
    exchange.end();
    drop(exchange);
    let record = only(&kept);
    assert!(record.fault.is_none());
    assert_eq!(names(&record).last(), Some(&"upstream.request"));
}
