//! Messages that do not fit: out of order, too much, too late, or nothing that can be read.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use gateway::access::Access;
use gateway::extproc::OnUnroutable;
use gateway::http::Limits;
use pipeline::policy::Policy;
use tonic::Code;
use trace::{EventKind, Observed, Stage};

use super::envoy::{Processor, Talk, piece, set};
use crate::support::{Setup, chat, endpoint, model, policy, policy_of, stream};

fn usual() -> Policy {
    policy(([10, 0, 0, 1], 8000).into(), ([10, 0, 0, 2], 8000).into())
}

fn setup() -> Setup {
    Setup::new(usual())
}

async fn buffered(processor: &Processor) -> Talk {
    processor.talk(BodySendMode::Buffered, BodySendMode::Streamed).await
}

#[tokio::test]
async fn a_stream_that_begins_in_the_middle_is_refused_or_passes() {
    for on_unroutable in [OnUnroutable::Refuse, OnUnroutable::Pass] {
        let processor = Processor::start(Setup { on_unroutable, ..setup() }).await;
        for place in 0..4 {
            let mut talk = buffered(&processor).await;
            match place {
                0 => talk.chat(&chat("write a haiku")).await,
                1 => talk.trailers().await,
                2 => talk.answer_head("200", "application/json").await,
                _ => talk.answer_body("{}", true).await,
            }
            match on_unroutable {
                OnUnroutable::Refuse => assert_eq!(talk.refused().await, (400, "invalid_request".to_owned())),
                OnUnroutable::Pass => {
                    talk.reply().await;
                }
            }
        }
        for record in processor.records(4).await {
            assert_eq!((record.request.route, &*record.request.method), ("_OTHER", "_OTHER"));
            assert!(record.spans().is_empty());
        }
    }
}

#[tokio::test]
async fn messages_out_of_order_end_the_stream_with_an_answer() {
    let processor = Processor::start(setup()).await;
    for place in 0..7 {
        let mut talk = buffered(&processor).await;
        talk.head(&[]).await;
        talk.request_head().await;
        if place >= 3 {
            talk.chat(&chat("write a haiku")).await;
            talk.request_body().await;
        }
        match place {
            0 | 3 => talk.head(&[]).await,
            1 => talk.trailers().await,
            2 => talk.answer_body("{}", true).await,
            4 => talk.chat(&chat("write a haiku")).await,
            5 => talk.answer_trailers().await,
            _ => {
                talk.answer_head("200", "application/json").await;
                talk.response_head().await;
                talk.answer_head("200", "application/json").await;
            }
        }
        assert_eq!(talk.refused().await, (400, "invalid_request".to_owned()), "place {place}");
    }
    for record in processor.records(7).await {
        assert_eq!((record.http_status, record.refusal), (Some(400), Some("invalid_request")));
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_taken_are_refused_as_on_the_other_door() {
    let limits = Limits { body_bytes: 4096, messages: 2, ..setup().limits };
    let processor = Processor::start(Setup { limits, ..setup() }).await;
    let long = "x".repeat(5000);
    let deep = "[".repeat(3000);
    let many = serde_json::json!({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "user", "content": "c"}]}).to_string();
    type Lines<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Lines<'_>, &str, (i32, &str)); 8] = [
        (&[], "", (400, "invalid_json")),
        (&[], "{\"model\": nope}", (400, "invalid_json")),
        (&[], "{}", (400, "invalid_request")),
        (&[], &deep, (400, "invalid_request")),
        (&[], &many, (400, "invalid_request")),
        (&[], &long, (413, "request_too_large")),
        (&[("content-length", "5000")], "", (413, "request_too_large")),
        (&[("content-encoding", "gzip")], "", (400, "invalid_request")),
    ];
    for (index, (lines, body, (status, code))) in cases.into_iter().enumerate() {
        let mut talk = buffered(&processor).await;
        talk.head(lines).await;
        if index < 6 {
            talk.request_head().await;
            talk.body(body, true).await;
        }
        assert_eq!(talk.refused().await, (status, code.to_owned()), "case {index}");
    }
    for record in processor.records(8).await {
        assert!(record.refusal.is_some() && record.spans().is_empty());
        assert_eq!(record.request.observed, Observed::Body);
    }
}

/// A message that is larger than any that can be read.
#[tokio::test]
async fn a_message_beyond_all_limits_is_refused_too() {
    let limits = Limits { body_bytes: 4096, ..setup().limits };
    let processor = Processor::start(Setup { limits, ..setup() }).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.body(vec![b'x'; 3 << 20], true).await;
    assert_eq!(talk.refused().await, (413, "request_too_large".to_owned()));
    processor.record().await;
}

#[tokio::test]
async fn a_body_without_a_request_is_refused_at_the_head() {
    let processor = Processor::start(setup()).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[(":method", "GET")]).await;
    assert_eq!(talk.refused().await, (405, "invalid_request".to_owned()));
    assert_eq!(processor.record().await.http_status, Some(405));
}

#[tokio::test]
async fn a_stream_that_never_goes_on_ends() {
    let limits = Limits {
        read_timeout: Duration::from_millis(50),
        head_timeout: Duration::from_millis(50),
        ..setup().limits
    };
    let mut one = endpoint("one", ([10, 0, 0, 1], 8000).into());
    one.timeouts.total = Duration::from_millis(50);
    let policy = policy_of(vec![model("small", "general", vec![one])]);
    let processor = Processor::start(Setup { limits, ..Setup::new(policy) }).await;
    // Nothing at all.
    let mut talk = buffered(&processor).await;
    assert_eq!(talk.next().await.unwrap_err().code(), Code::DeadlineExceeded);
    // A head without its body.
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    assert_eq!(talk.refused().await, (408, "request_timeout".to_owned()));
    // A request without an answer, and an answer without an end.
    for begun in [false, true] {
        let mut talk = buffered(&processor).await;
        talk.head(&[]).await;
        talk.request_head().await;
        talk.chat(&chat("write a haiku")).await;
        talk.request_body().await;
        if begun {
            talk.answer_head("200", "text/event-stream").await;
            talk.response_head().await;
            assert_eq!(talk.next().await.unwrap_err().code(), Code::DeadlineExceeded);
        } else {
            assert_eq!(talk.refused().await, (504, "upstream_timeout".to_owned()));
        }
    }
    let records = processor.records(3).await;
    assert_eq!(records[0].refusal, Some("request_timeout"));
    for record in &records[1..] {
        assert_eq!(record.fault.as_ref().unwrap().kind, "upstream_timeout");
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request() {
    let processor = Processor::start(setup()).await;
    // While its body is read, while the answer is awaited, in the middle of it, and after its last word.
    for place in 0..4 {
        let mut talk = buffered(&processor).await;
        talk.head(&[]).await;
        talk.request_head().await;
        if place > 0 {
            talk.chat(&stream("write a haiku")).await;
            talk.request_body().await;
        }
        if place > 1 {
            talk.answer_head("200", "text/event-stream").await;
            talk.response_head().await;
        }
        if place == 3 {
            let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
            talk.answer_body(said, false).await;
            talk.response_body().await;
        }
        drop(talk);
        processor.kept.wait_for(place + 1).await;
    }
    let records = processor.records(4).await;
    let kinds: Vec<Vec<&EventKind>> =
        records.iter().map(|record| record.events.iter().map(|event| &event.kind).collect()).collect();
    assert_eq!(kinds[0], [&EventKind::ClientDisconnected]);
    assert_eq!(kinds[1], [&EventKind::ClientDisconnected]);
    assert_eq!(kinds[2], [&EventKind::CutShort], "Envoy does not say which side it was");
    assert!(kinds[3].is_empty() && records[3].fault.is_none());
    assert!(records[2].spans().iter().any(|span| span.stage == Stage::UpstreamRequest && span.cancelled));
}

#[tokio::test]
async fn paths_of_others_pass_and_lose_only_what_is_ours() {
    let mut access = Access::default();
    let key = gateway::access::ApiKey {
        name: "team".into(),
        sha256: gateway::admin::AdminDoor::hash("secret"),
        allowed_models: None,
    };
    access.keys.push(key);
    let processor = Processor::start(Setup { access, ..setup() }).await;
    let mut talk = buffered(&processor).await;
    let lines = [
        (":path", "/v1/files?x=1"),
        ("x-gateway-destination-endpoint", "10.9.9.9:1"),
        ("authorization", "Bearer secret"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    talk.head(&lines).await;
    let (head, _) = talk.request_head().await;
    let changes = head.header_mutation.unwrap();
    assert!(changes.set_headers.is_empty());
    let mut removed = changes.remove_headers;
    removed.sort();
    assert_eq!(removed, ["authorization", "x-gateway-destination-endpoint"]);
    talk.ends().await;
    let record = processor.record().await;
    assert_eq!((record.request.route, record.request.observed), ("_OTHER", Observed::Request));
    assert_eq!(record.request.path.as_str(), "/v1/files");
    assert_eq!(record.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert!(record.http_status.is_none() && record.spans().is_empty() && record.events.is_empty());
}

/// In `FULL_DUPLEX_STREAMED` Envoy waits for every piece to come back.
#[tokio::test]
async fn paths_of_others_are_echoed_where_envoy_waits_for_it() {
    let processor = Processor::start(setup()).await;
    let mode = BodySendMode::FullDuplexStreamed;
    let mut talk = processor.talk(mode, mode).await;
    talk.head(&[(":path", "/upload")]).await;
    assert_eq!(talk.request_head().await.0.header_mutation, None);
    talk.body("abc", false).await;
    assert_eq!(piece(&talk.request_body().await), (b"abc".to_vec(), false));
    talk.body("", true).await;
    assert_eq!(piece(&talk.request_body().await), (Vec::new(), true));
    talk.answer_head("200", "text/plain").await;
    talk.response_head().await;
    talk.answer_body("ok", false).await;
    assert_eq!(piece(&talk.response_body().await), (b"ok".to_vec(), false));
    talk.answer_trailers().await;
    assert!(matches!(talk.reply().await.response, Some(Response::ResponseTrailers(_))));
    talk.ends().await;
    processor.record().await;
}

#[tokio::test]
async fn an_api_that_is_not_known_yet_is_refused_unless_the_settings_let_it_pass() {
    for (on_unroutable, passes) in [(OnUnroutable::Refuse, false), (OnUnroutable::Pass, true)] {
        let processor = Processor::start(Setup { on_unroutable, ..setup() }).await;
        let mut talk = buffered(&processor).await;
        talk.head(&[(":path", "/v1/responses")]).await;
        if passes {
            talk.request_head().await;
        } else {
            assert_eq!(talk.refused().await, (404, "not_found".to_owned()));
        }
        assert_eq!(processor.record().await.request.route, "/v1/responses");
    }
}

#[tokio::test]
async fn metadata_that_contradict_the_headers_do_not_count() {
    let processor = Processor::start(setup()).await;
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let envoys = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    let others = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let cases = [
        (header, envoys, "00f067aa0ba902b7"),
        (header, others, "b7ad6b7169203331"),
        ("", others, "00f067aa0ba902b7"),
    ];
    for (number, (header, metadata, parent)) in cases.into_iter().enumerate() {
        let modes = super::envoy::modes(BodySendMode::Buffered, BodySendMode::None);
        let mut talk = processor.talk_with(Some(modes), &[("traceparent", metadata)]).await;
        let lines = [("traceparent", header)];
        talk.head(if header.is_empty() { &[] } else { &lines }).await;
        talk.request_head().await;
        talk.chat(&chat("write a haiku")).await;
        let sent = set(&talk.request_body().await.header_mutation.unwrap(), "traceparent").unwrap();
        drop(talk);
        let records = processor.records(number + 1).await;
        let record = records.last().unwrap();
        assert_eq!(record.parent.as_ref().unwrap().span_id.to_string(), parent);
        assert!(sent.contains(&record.trace_id.to_string()) && !sent.contains(parent));
    }
}

#[tokio::test]
async fn a_full_router_says_so() {
    let processor = Processor::start(Setup { in_flight: 1, ..setup() }).await;
    let mut first = buffered(&processor).await;
    first.head(&[]).await;
    first.request_head().await;
    let mut second = buffered(&processor).await;
    second.head(&[]).await;
    assert_eq!(second.refused().await, (429, "over_capacity".to_owned()));
    drop(first);
    processor.records(2).await;
}

#[tokio::test]
async fn keys_count_here_too() {
    let access = Access { key_use: gateway::access::KeyUse::Required, ..Access::default() };
    let processor = Processor::start(Setup { access, ..setup() }).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    assert_eq!(talk.refused().await, (401, "invalid_api_key".to_owned()));
    assert_eq!(processor.record().await.refusal, Some("invalid_api_key"));
}

#[tokio::test]
async fn an_answer_that_is_none_becomes_an_error() {
    let processor = Processor::start(setup()).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.chat(&chat("write a haiku")).await;
    talk.request_body().await;
    talk.answer_head("200", "text/html").await;
    assert_eq!(talk.refused().await, (502, "upstream_invalid".to_owned()));
    let record = processor.record().await;
    assert_eq!((record.http_status, record.fault.unwrap().kind.as_ref()), (Some(502), "upstream_invalid"));
}

/// Envoy answers by itself to what it does not take, and tells us while we wait for the body.
#[tokio::test]
async fn an_answer_of_envoys_own_is_recorded() {
    let processor = Processor::start(setup()).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.answer_head("413", "text/plain").await;
    assert!(set(&talk.response_head().await.0.header_mutation.unwrap(), "x-trace-id").is_some());
    talk.answer_body("Payload Too Large", true).await;
    talk.response_body().await;
    talk.ends().await;
    let record = processor.record().await;
    assert_eq!((record.http_status, record.fault), (Some(413), None));
}

/// The pipeline fails at one request: that one breaks, and nobody else on the connection.
#[tokio::test]
async fn a_panic_costs_one_stream() {
    let processor = Processor::start(setup()).await;
    let mut other = buffered(&processor).await;
    other.head(&[]).await;
    other.request_head().await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.chat(&chat("CLASSIFIER PANICS")).await;
    assert_eq!(talk.next().await.unwrap_err().code(), Code::Internal);
    other.chat(&chat("write a haiku")).await;
    other.request_body().await;
    drop(other);
    let records = processor.records(2).await;
    assert!(records.iter().any(|record| record.fault.as_ref().is_some_and(|fault| fault.kind == "panic")));
}

#[tokio::test]
async fn an_endpoint_without_an_address_hands_over_to_the_next() {
    // A name service that is slow is as good as none.
    let decision_timeout = Duration::from_millis(300);
    let gone = || {
        let mut gone = endpoint("gone", ([10, 0, 0, 9], 80).into());
        gone.address.host = "no-such-host.invalid".into();
        gone.weight = 1000;
        gone
    };
    let there = endpoint("there", ([10, 0, 0, 1], 8000).into());
    let only_gone = policy_of(vec![model("small", "general", vec![gone()])]);
    let both = policy_of(vec![model("small", "general", vec![gone(), there])]);
    let processor = Processor::start(Setup { decision_timeout, ..Setup::new(both) }).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.chat(&chat("write a haiku")).await;
    let changes = talk.request_body().await.header_mutation.unwrap();
    assert_eq!(set(&changes, "x-gateway-destination-endpoint").as_deref(), Some("10.0.0.1:8000"));
    drop(talk);
    let processor = Processor::start(Setup { decision_timeout, ..Setup::new(only_gone) }).await;
    let mut talk = buffered(&processor).await;
    talk.head(&[]).await;
    talk.request_head().await;
    talk.chat(&chat("write a haiku")).await;
    assert_eq!(talk.refused().await, (502, "upstream_unreachable".to_owned()));
    let upstream = processor.record().await;
    let span = upstream.spans().iter().find(|span| span.stage == Stage::UpstreamRequest).unwrap();
    assert!(format!("{:?}", span.status).contains("no address"), "{:?}", span.status);
}
