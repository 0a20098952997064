//! What the backend notices: headers, pace, clients that leave, and its own end.

use std::time::{Duration, Instant};

use crate::support::{PATIENCE, ask, chat, send, send_h2, start};
use http_body_util::BodyExt as _;
use serde_json::json;
use simulator::command::{Options, serve};
use simulator::{Outcome, Script, Simulator};

const ENDLESS_TOKENS: usize = 2_000;

/// A stream of more than a minute, whose end no test sees.
fn endless() -> Script {
    Script { tokens_per_second: 25.0, output_tokens: u32::try_from(ENDLESS_TOKENS).ok(), ..Script::default() }
}

async fn left_after(simulator: &Simulator, body: hyper::body::Incoming) -> usize {
    let mut body = body;
    for _ in 0..3 {
        body.frame().await.unwrap().unwrap();
    }
    assert_eq!(simulator.requests()[0].outcome, Outcome::InProgress);
    drop(body);
    assert!(simulator.wait_for_ended(1, PATIENCE).await);
    match simulator.requests()[0].outcome {
        Outcome::ClientLeft { after_chunks } => after_chunks,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_leaves_inside_a_stream_is_noticed_on_both_protocols() {
    let simulator = start(endless()).await;
    let response = send(&simulator, chat("x", json!({"stream": true}))).await.unwrap();
    assert!((3..ENDLESS_TOKENS).contains(&left_after(&simulator, response.into_body()).await));

    let simulator = start(endless()).await;
    let response = send_h2(&simulator, chat("x", json!({"stream": true}))).await.unwrap();
    assert!((3..ENDLESS_TOKENS).contains(&left_after(&simulator, response.into_body()).await));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_noticed() {
    let simulator = start(Script { first_token_ms: 3_600_000, ..Script::default() }).await;
    for http2 in [false, true] {
        let request = chat("x", json!({}));
        let count = simulator.requests().len() + 1;
        tokio::select! {
            _ = async { if http2 { send_h2(&simulator, request).await } else { send(&simulator, request).await } } => {
                panic!("answered")
            }
            arrived = simulator.wait_for(count, PATIENCE) => assert!(arrived),
        }
        assert!(simulator.wait_for_ended(count, PATIENCE).await);
        assert_eq!(simulator.requests()[count - 1].outcome, Outcome::ClientLeft { after_chunks: 0 });
    }
}

#[tokio::test]
async fn the_request_is_kept_as_it_came() {
    let simulator = start(Script::default()).await;
    let mut request = chat("hello", json!({}));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.headers_mut().insert("traceparent", traceparent.parse().unwrap());
    ask(&simulator, request).await;
    let seen = &simulator.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(seen.headers["traceparent"], traceparent);
    assert!(std::str::from_utf8(&seen.body).unwrap().contains("hello"));
    assert_eq!((seen.fault, seen.outcome), (None, Outcome::Completed));
}

/// Only lower bounds are asserted: a loaded machine may be late, the script may not be early.
#[tokio::test]
async fn tokens_keep_their_pace() {
    let script =
        Script { first_token_ms: 60, tokens_per_second: 100.0, output_tokens: Some(8), ..Script::default() };
    let simulator = start(script).await;
    let begun = Instant::now();
    let mut body = send(&simulator, chat("x", json!({"stream": true}))).await.unwrap().into_body();
    let mut tokens = 0u32;
    while let Some(frame) = body.frame().await {
        let late = begun.elapsed();
        let data = frame.unwrap().into_data().unwrap();
        let due = Duration::from_millis(60) + Duration::from_millis(10) * tokens.saturating_sub(1);
        tokens += u32::try_from(String::from_utf8_lossy(&data).matches("\"content\":\" ").count()).unwrap();
        assert!(late >= due, "{tokens} tokens after {late:?}");
    }
    assert!(begun.elapsed() >= Duration::from_millis(60 + 7 * 10));

    let begun = Instant::now();
    ask(&simulator, chat("x", json!({}))).await;
    assert!(begun.elapsed() >= Duration::from_millis(60 + 7 * 10));
}

#[tokio::test]
async fn shutdown_closes_the_port_and_ends_streams_that_have_no_end() {
    let simulator = start(endless()).await;
    let address = simulator.address();
    let mut body = send(&simulator, chat("x", json!({"stream": true}))).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, simulator.shutdown()).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn the_command_serves_until_told_to_stop_and_explains_bad_options() {
    let (say, heard) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let options = Options { listen: ([127, 0, 0, 1], 0).into(), ..Options::default() };
    let serving =
        tokio::spawn(serve(options, |address| say.send(address).unwrap(), async { stopped.await.unwrap() }));
    let address = heard.await.unwrap();
    tokio::net::TcpStream::connect(address).await.unwrap();
    let taken = Options { listen: address, ..Options::default() };
    let error = serve(taken, |_| panic!("bound twice"), async {}).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();

    let wrong = Options { faults: vec!["reset@often".into()], ..Options::default() };
    let error = serve(wrong, |_| panic!("started"), async {}).await.unwrap_err();
    assert!(error.to_string().contains("reset@often"), "{error}");
}
