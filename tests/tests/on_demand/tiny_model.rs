//! An engine that computes its tokens: `transformers serve` with a tiny random model made on the spot.
//!
//! Its streams end with the finish reason, the usage in the same chunk, and without `[DONE]`; it refuses fields that it does
//! not know.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::bounded_by;
use tests::client::{Answer, Client, streamed};
use tests::configuration::Configuration;
use tests::real_parts::{NODE_MODULES, OpenAi, PYTHON, TRANSFORMERS, found, script};
use tests::router::{Left, Router};
use tests::service::{START_LIMIT, Service};
use tests::span::Span;
use tokio::process::Command;

const TOKENS: u64 = 16;

/// The engine, which is there as long as the first two are.
async fn engine(python: &Path) -> (Service, TempDir, SocketAddr) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(python);
    command.arg("-B").arg(script("tiny_model.py")).arg(folder.path());
    // Neither the caches nor the settings of the developer.
    command.env_clear().env("HOME", folder.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let service = Service::start(command, &[1]).await;
    let address = service.door(0);
    (service, folder, address)
}

fn configuration(engine: SocketAddr) -> Configuration {
    Configuration::new(&format!(
        "models: [{{ name: tiny, endpoints: [{{ name: backend-1, address: 'http://{engine}' }}] }}]\n"
    ))
}

/// Both clients, each asking for a whole answer and for a stream.
async fn asked_by_clients(python: PathBuf, node: PathBuf, router: &Router) {
    let bound = TOKENS.to_string();
    for (client, prompt) in
        [(OpenAi::Python(python), "Tell me of tea"), (OpenAi::JavaScript(node), "Tell me of coffee")]
    {
        let variables = [("PROMPT", prompt), ("MAX_TOKENS", &bound)];
        let stream = client.run("streaming", &router.base_url(), &variables).await;
        assert_eq!(
            (&stream["error"], &stream["finish_reason"]),
            (&Value::Null, &"length".into()),
            "{stream}"
        );
        assert_eq!(stream["headers"]["x-vsr-cache-hit"], Value::Null, "{stream}");
        // One chunk begins, one ends, and between them is one for each token.
        assert_eq!(stream["chunks"], TOKENS + 2, "{stream}");
        let said = stream["content"].as_str().unwrap_or_default();
        assert_eq!(said.chars().count() as u64, TOKENS, "a character is a token: {stream}");

        // The stream was stored, although its backend had not ended it with `[DONE]`: the whole answer comes from there.
        let plain = client.run("plain", &router.base_url(), &variables).await;
        assert_eq!((&plain["error"], &plain["finish_reason"]), (&Value::Null, &"length".into()), "{plain}");
        assert_eq!(plain["content"], said, "{plain}");
        assert_eq!(plain["usage"]["completion_tokens"], TOKENS, "{plain}");
    }
}

#[test]
fn real_tokens_go_through_as_a_stream_and_as_a_whole() {
    let test = "tiny_model::real_tokens_go_through_as_a_stream_and_as_a_whole";
    let Some(transformers) = found(test, TRANSFORMERS) else { return };
    let Some(python) = found(test, PYTHON) else { return };
    let Some(node) = found(test, NODE_MODULES) else { return };
    bounded_by(START_LIMIT * 2, async {
        let (service, _folder, address) = engine(&transformers).await;
        let router = Router::start(configuration(address)).await;
        asked_by_clients(python, node, &router).await;

        // The bytes: what the engine sends, and one frame more.
        let mut body = streamed("Tell me of water");
        body["max_tokens"] = TOKENS.into();
        let through = router.client().chat(&body).await;
        body["model"] = "tiny".into();
        let own = Client::of(address).chat(&body).await;
        assert!(own.complete && !own.is_done(), "{}", own.text());
        assert!(through.complete && through.is_done(), "{}", through.text());
        assert_eq!(through.content(), own.content(), "it always says the same");
        assert_eq!(through.events().len(), own.events().len());

        // A whole answer that no stream had left behind.
        let mut body = tests::client::chat("Tell me of milk");
        body["max_tokens"] = TOKENS.into();
        let whole = router.client().chat(&body).await;
        assert_eq!(whole.json()["choices"][0]["finish_reason"], "length", "{}", whole.text());

        // An unknown field goes through to the engine, and what the engine says of it comes back.
        body["field_of_tomorrow"] = 1.into();
        let refused = router.client().chat(&body).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains("field_of_tomorrow"), "{}", refused.text());

        let left = router.end().await;
        assert_streamed(&left.spans(through.trace_id()));
        insta::assert_snapshot!("real_tokens_as_a_stream", tree(&left, &through));
        insta::assert_snapshot!("real_tokens_as_a_whole", tree(&left, &whole));
        insta::assert_snapshot!("a_field_that_the_engine_refuses", tree(&left, &refused));
        service.end().await;
    });
}

/// The tree without sizes: another processor rounds otherwise, and some characters are longer in JSON.
fn tree(left: &Left, answer: &Answer) -> String {
    let sizes = Regex::new(r"\d+ bytes").expect("a pattern");
    sizes.replace_all(&left.tree(answer.trace_id()), "_ bytes").into_owned()
}

/// What the router read off a real stream in passing.
fn assert_streamed(spans: &[Span]) {
    let call = spans.iter().find(|span| span.kind == "client").expect("the call of the engine");
    assert_eq!((call.status.as_str(), spans[0].status.as_str()), ("unset", "unset"), "nothing failed");
    assert_eq!(call.get("gen_ai.response.model"), "tiny@main");
    assert_eq!(call.get("gen_ai.response.finish_reasons"), &json!(["length"]));
    assert_eq!(call.get("gen_ai.usage.output_tokens"), TOKENS);
    // "user: ", the prompt, the end of its line, "assistant: ".
    assert_eq!(call.get("gen_ai.usage.input_tokens"), "user: Tell me of water\nassistant: ".len());
    let first = call.events.iter().find(|(name, ..)| name.contains("first_token")).map(|(_, time, _)| *time);
    let first = first.expect("the event of the first token");
    assert!(call.start_ns < first && first < call.end_ns(), "{call:?}");
}
