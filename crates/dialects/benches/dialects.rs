//! Criterion benches of the readers and editors: `cargo bench -p dialects`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dialects::Dialect;
use dialects::edit::{Edits, SystemPromptMode};
use dialects::request::ParsedRequest;
use dialects::sse::{ObserverLimits, StreamObserver, data_frame};
use serde_json::json;

/// A chat about `length` bytes long, one message in ten with an escape.
fn chat(length: usize) -> Bytes {
    let mut messages = vec![json!({"role": "system", "content": "You are a careful assistant."})];
    let mut written = 0;
    while written < length.saturating_sub(300) {
        let text = format!("Message {}: what is the derivative of x^3, and why?", messages.len());
        let text = if messages.len() % 10 == 0 { format!("{text}\n\"quoted\"") } else { text };
        written += text.len() + 36;
        messages.push(json!({"role": "user", "content": text}));
    }
    let request = json!({
        "messages": messages, "model": "auto", "temperature": 0.2, "max_completion_tokens": 512,
        "stream": true, "stream_options": {"include_usage": true}, "user": "user-17",
    });
    Bytes::from(request.to_string())
}

/// A chat with one image of a megabyte.
fn image() -> Bytes {
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(95_000));
    let request = json!({"model": "auto", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is on this picture?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]}]});
    Bytes::from(request.to_string())
}

fn edits() -> Edits {
    Edits {
        model: Some("llama-3.1-70b".to_owned()),
        system_prompt: Some((SystemPromptMode::Prepend, "You are a mathematician.".to_owned())),
        members: vec![(vec!["chat_template_kwargs".to_owned(), "enable_thinking".to_owned()], json!(true))],
        ..Edits::default()
    }
}

fn requests(criterion: &mut Criterion) {
    let edits = edits();
    for (name, body) in [("1kB", chat(1_000)), ("1MB", chat(1_000_000)), ("1MB image", image())] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| ParsedRequest::parse(Dialect::ChatCompletions, black_box(body.clone())));
        });
        let Ok(request) = ParsedRequest::parse(Dialect::ChatCompletions, body.clone()) else { continue };
        group.bench_function("edit", |bencher| bencher.iter(|| black_box(&request).edited(&edits)));
        group.bench_function("last user text", |bencher| {
            bencher.iter(|| black_box(&request).last_user_text().len());
        });
        group.bench_function("canonical form", |bencher| {
            bencher.iter(|| {
                black_box(&request).canonical_form(&mut |piece| {
                    black_box(piece);
                });
            });
        });
        group.finish();
    }
}

/// Reading a stream of 200 chunks as it passes, one network read per chunk.
fn streams(criterion: &mut Criterion) {
    let chunk = |content: &str| {
        let head = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","#;
        let choice =
            format!(r#""choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":null}}]"#);
        data_frame(&format!("{head}{choice}}}"))
    };
    let chunks: Vec<Bytes> = (0..200).map(|number| chunk(&format!(" word{number}"))).collect();
    let mut group = criterion.benchmark_group("stream of 200 chunks");
    group.throughput(Throughput::Elements(chunks.len() as u64));
    for (name, collected_bytes) in [("observe", 0), ("observe and collect", 1 << 20)] {
        let limits = ObserverLimits { event_bytes: 1 << 20, collected_bytes };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut observer = StreamObserver::new(Dialect::ChatCompletions, limits);
                for chunk in &chunks {
                    observer.observe(black_box(chunk));
                }
                observer.summary().output_chunks
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests, streams);
criterion_main!(benches);
