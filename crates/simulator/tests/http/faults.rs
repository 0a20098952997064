//! Every fault, seen from a client.

use std::time::{Duration, Instant};

use crate::support::{End, PATIENCE, ask, chat, faulty, get, raw_chat, raw_request, send, send_h2, whole};
use http_body_util::BodyExt as _;
use serde_json::json;
use simulator::{Outcome, Simulator};
use tokio::io::AsyncReadExt as _;

/// Number of complete SSE frames in what a bare socket got.
fn frames(got: &str) -> usize {
    got.matches("\n\n").count()
}

async fn outcome(simulator: &Simulator) -> Outcome {
    assert!(simulator.wait_for_ended(1, PATIENCE).await);
    simulator.requests()[0].outcome
}

/// Reads until `enough`, on a connection that stays open.
async fn read_until(socket: &mut tokio::net::TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let mut got = Vec::new();
    while !enough(&String::from_utf8_lossy(&got)) {
        let count = tokio::time::timeout(PATIENCE, socket.read_buf(&mut got)).await.unwrap().unwrap();
        assert_ne!(count, 0, "closed after {:?}", String::from_utf8_lossy(&got));
    }
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn status() {
    let simulator = faulty(&["status=429,retry-after=7"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (429, &"7".parse().unwrap()));
    let error = &answer.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("rate_limit_error"), &json!("simulated_fault")));
    assert_eq!(simulator.requests()[0].fault, Some("status"));
    // Only POST requests are struck.
    assert_eq!(ask(&simulator, get("/health")).await.status, 200);
}

#[tokio::test]
async fn reset() {
    let simulator = faulty(&["reset"]).await;
    assert_eq!(raw_chat(&simulator, "x", "true").await, (String::new(), End::Reset));
    assert_eq!(outcome(&simulator).await, Outcome::BrokenOff { after_chunks: 0 });
}

#[tokio::test]
async fn reset_after() {
    let simulator = faulty(&["reset-after=3"]).await;
    let (got, end) = raw_chat(&simulator, "x", "true").await;
    assert_eq!((frames(&got), end), (3, End::Reset), "{got}");
    assert_eq!(outcome(&simulator).await, Outcome::BrokenOff { after_chunks: 3 });
}

#[tokio::test]
async fn stall_before_head() {
    let simulator = faulty(&["stall-before-head"]).await;
    let mut socket = raw_request(&simulator, "x", "true").await;
    assert!(simulator.wait_for(1, PATIENCE).await);
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(50), socket.read(&mut byte)).await.is_err());
    drop(socket);
    assert_eq!(outcome(&simulator).await, Outcome::ClientLeft { after_chunks: 0 });
}

#[tokio::test]
async fn slow_head() {
    let simulator = faulty(&["slow-head=60"]).await;
    let start = Instant::now();
    let response = send(&simulator, chat("x", json!({"stream": true}))).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert_eq!(whole(response).await.events().len(), 12);
}

#[tokio::test]
async fn stall_after() {
    let simulator = faulty(&["stall-after=2"]).await;
    let mut socket = raw_request(&simulator, "x", "true").await;
    read_until(&mut socket, |got| frames(got) == 2).await;
    let mut byte = [0];
    // What follows the second frame on the wire is the end of its chunk, and then nothing.
    let more = tokio::time::timeout(Duration::from_millis(50), socket.read(&mut byte)).await;
    assert!(more.is_err() || matches!(byte, [b'\r'] | [b'\n']));
    drop(socket);
    assert_eq!(outcome(&simulator).await, Outcome::ClientLeft { after_chunks: 2 });
}

#[tokio::test]
async fn cut_after() {
    let simulator = faulty(&["cut-after=2"]).await;
    let (got, end) = raw_chat(&simulator, "x", "true").await;
    assert_eq!((frames(&got), end), (2, End::Closed), "{got}");
    assert!(!got.ends_with("0\r\n\r\n"), "the last chunk of HTTP must be missing: {got}");
    assert_eq!(outcome(&simulator).await, Outcome::BrokenOff { after_chunks: 2 });

    let (got, _) = raw_chat(&simulator, "x", "false").await;
    assert!(got.contains("\"created\":") && !got.contains("usage"), "{got}");
    let response = send(&simulator, chat("x", json!({}))).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    let response = send_h2(&simulator, chat("x", json!({"stream": true}))).await.unwrap();
    let mut body = response.into_body();
    let mut got = Vec::new();
    let error = loop {
        match body.frame().await.expect("the body must not end cleanly") {
            Ok(frame) => got.extend_from_slice(frame.data_ref().unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(frames(std::str::from_utf8(&got).unwrap()), 2, "{error}");
}

#[tokio::test]
async fn error_after() {
    let simulator = faulty(&["error-after=2"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    assert_eq!(frames(&answer.body), 3);
    assert!(answer.body.contains(r#"data: {"error":{"message""#) && !answer.body.contains("[DONE]"));
}

#[tokio::test]
async fn malformed() {
    let simulator = faulty(&["malformed"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    let broken = answer.body.split("\n\n").filter(|frame| {
        let payload = frame.strip_prefix("data: ").filter(|payload| *payload != "[DONE]");
        payload.is_some_and(|payload| serde_json::from_str::<serde_json::Value>(payload).is_err())
    });
    assert_eq!((broken.count(), answer.status.as_u16()), (1, 200));
    let answer = ask(&simulator, chat("x", json!({}))).await;
    assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err());
}

#[tokio::test]
async fn half_frame() {
    let simulator = faulty(&["half-frame"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    assert_eq!(frames(&answer.body), 1);
    assert!(answer.body.split("\n\n").nth(1).unwrap().starts_with("data: {\"id\""));
    assert_eq!(outcome(&simulator).await, Outcome::Completed);
}

#[tokio::test]
async fn html() {
    let simulator = faulty(&["html"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(answer.body.starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn never_ends() {
    let simulator = faulty(&["never-ends"]).await;
    let mut socket = raw_request(&simulator, "x", "true").await;
    let got = read_until(&mut socket, |got| frames(got) > 30).await;
    assert!(!got.contains("[DONE]") && !got.contains("\"finish_reason\":\""));
    drop(socket);
    assert!(matches!(outcome(&simulator).await, Outcome::ClientLeft { after_chunks: 30.. }));
}

#[tokio::test]
async fn wrong_content_length() {
    let simulator = faulty(&["wrong-content-length"]).await;
    let (got, end) = raw_chat(&simulator, "x", "false").await;
    let (head, body) = got.split_once("\r\n\r\n").unwrap();
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!((announced.parse::<usize>().unwrap(), end), (body.len() + 64, End::Closed));
    let response = send(&simulator, chat("x", json!({"stream": true}))).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn huge_line() {
    let simulator = faulty(&["huge-line=300000"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    let lengths = answer
        .events()
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str()?.len().into())
        .max();
    assert_eq!(lengths, Some(300_000));
    let answer = ask(&simulator, chat("x", json!({}))).await;
    assert!(answer.body.len() > 300_000 && answer.json()["object"] == "chat.completion");
}

#[tokio::test]
async fn no_done() {
    let simulator = faulty(&["no-done"]).await;
    let answer = ask(&simulator, chat("x", json!({"stream": true}))).await;
    assert!(answer.body.contains("\"finish_reason\":\"stop\"") && !answer.body.contains("[DONE]"));
}

#[tokio::test]
async fn byte_by_byte() {
    let simulator = faulty(&["byte-by-byte"]).await;
    let response = send(&simulator, chat("é", json!({"stream": true}))).await.unwrap();
    let mut body = response.into_body();
    let mut got = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert_eq!(data.len(), 1);
        got.extend_from_slice(&data);
    }
    assert!(String::from_utf8(got).unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn rules_count_requests_and_headers_ask() {
    let simulator = faulty(&["status=500@every=2", "status=503@prompt=BOOM"]).await;
    let mut seen = Vec::new();
    for prompt in ["a", "b", "BOOM", "BOOM"] {
        seen.push(ask(&simulator, chat(prompt, json!({}))).await.status.as_u16());
    }
    assert_eq!(seen, [200, 500, 503, 500]);

    let simulator = faulty(&[]).await;
    let asked = |value: &str| {
        let mut request = chat("x", json!({}));
        request.headers_mut().insert("x-simulate-fault", value.parse().unwrap());
        request
    };
    assert_eq!(ask(&simulator, asked("status=418")).await.status, 418);
    assert_eq!(ask(&simulator, asked("status; on=another")).await.status, 200);
    assert_eq!(ask(&simulator, asked("status; on=simulator")).await.status, 503);
    let refused = ask(&simulator, asked("nonsense")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("never-ends"), "the error lists the faults: {}", refused.body);
}
