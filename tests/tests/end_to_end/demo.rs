//! `semantic-router demo`: what a new user sees first.

use tests::client::{Client, streamed};
use tests::process::{Ended, Process, run};
use tests::{bounded, envoy, tree};

/// The mission's spans in their order; a request goes as far as its outcome lets it.
const ORDER: [&str; 9] = [
    "request.received",
    "classification",
    "security.pii_detection",
    "security.jailbreak_detection",
    "cache.lookup",
    "routing.decision",
    "backend.selection",
    "system_prompt.injection",
    "upstream.request",
];

/// The trees of the demo's own requests.
async fn trees() -> (Ended, Vec<String>) {
    let demo =
        run(&["demo", "--once", "--listen", "127.0.0.1:0"], &[("OPENAI_API_KEY", "sk-not-for-the-demo")])
            .await;
    assert_eq!(demo.code, Some(0), "{}\n{}", demo.stdout, demo.stderr);
    let trees = tree::all(&demo.stdout);
    (demo, trees)
}

/// The tree of the request that contains `part`, of which there is one.
fn only<'a>(trees: &'a [String], part: &str) -> &'a str {
    let found: Vec<&String> = trees.iter().filter(|tree| tree.contains(part)).collect();
    assert_eq!(found.len(), 1, "{part} in {trees:#?}");
    found[0]
}

#[test]
fn each_suggested_request_does_what_it_is_there_to_show() {
    bounded(async {
        let (demo, trees) = trees().await;
        assert_eq!(trees.len(), 5, "{}", demo.stdout);
        let derivative = &trees[0];
        assert!(derivative.contains("category: math"), "{derivative}");
        assert!(derivative.contains("→ 200 · qwen3-32b"), "{derivative}");
        assert!(derivative.contains("selected_model: qwen3-32b, reasoning: true"), "{derivative}");
        assert!(demo.stdout.contains("3x^2"), "{}", demo.stdout);
        assert!(
            trees[1].contains("→ 200 · llama-3.1-8b") && trees[1].contains("reasoning: false"),
            "{}",
            trees[1]
        );
        assert!(
            trees[2].contains("types: CREDIT_CARD") && trees[2].contains("action: masked"),
            "{}",
            trees[2]
        );
        assert!(trees[3].contains("→ 403 jailbreak_detected"), "{}", trees[3]);
        assert!(
            only(&trees, "cache.hit: true").starts_with(&trees[4][..10]),
            "the last one comes from the cache"
        );
        assert!(!demo.stderr.contains("panicked"), "{}", demo.stderr);
    });
}

#[test]
fn the_trees_of_the_demo() {
    bounded(async {
        let (_, trees) = trees().await;
        for tree in &trees {
            let names = tree::names(tree);
            let places: Vec<usize> = names
                .iter()
                .filter_map(|name| {
                    ORDER.iter().position(|word| name.strip_prefix("semantic_router.") == Some(*word))
                })
                .collect();
            assert!(places.is_sorted() && places.first() == Some(&0), "{tree}");
        }
        let forwarded: Vec<&str> =
            tree::names(&trees[0]).iter().filter_map(|name| name.strip_prefix("semantic_router.")).collect();
        assert!(ORDER.iter().all(|word| forwarded.contains(word)), "{}", trees[0]);
        insta::assert_snapshot!(tree::masked(&trees.join("\n")));
    });
}

/// The command that the demo prints is the one that works, and its trace appears too.
#[test]
fn after_its_own_requests_it_is_the_users_turn() {
    bounded(async {
        let folder = tempfile::tempdir().expect("a folder");
        let demo = Process::start(&["demo", "--listen", "127.0.0.1:0"], &[], folder.path());
        let url = demo.stdout.until("the command to try", |text| {
            let command = text.split_once("curl http://")?.1;
            command.split_once("/v1/chat/completions")?.0.parse().ok()
        });
        let client = Client::of(url.await);
        let answer = client.chat(&streamed("Why is the sky blue?")).await;
        assert!(answer.status == 200 && answer.is_done(), "{}", answer.text());
        demo.stdout.until("its trace", |text| tree::find(text, answer.trace_id())).await;
        demo.signal("INT").await;
        let ended = demo.ended().await;
        assert_eq!((ended.code, ended.stderr.contains("panicked")), (Some(0), false), "{}", ended.stderr);
    });
}

#[test]
fn a_taken_port_says_what_to_do() {
    bounded(async {
        let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = held.local_addr().expect("an address").to_string();
        let demo = run(&["demo", "--once", "--listen", &address], &[]).await;
        assert_eq!(demo.code, Some(1));
        assert!(demo.stderr.contains(&address) && demo.stderr.contains("--listen"), "{}", demo.stderr);
    });
}

#[test]
fn the_demo_with_envoy_in_front() {
    let Some(program) = envoy::found("demo::the_demo_with_envoy_in_front") else { return };
    bounded(async {
        let program = format!("--envoy={}", program.display());
        let arguments =
            ["demo", "--once", "--listen", "127.0.0.1:0", "--envoy-listen", "127.0.0.1:0", &program];
        let demo = run(&arguments, &[]).await;
        assert_eq!(demo.code, Some(0), "{}\n{}", demo.stdout, demo.stderr);
        assert!(demo.stdout.contains("Envoy listens on http://127.0.0.1:"), "{}", demo.stdout);
        let trees = tree::all(&demo.stdout);
        assert_eq!(trees.len(), 5, "{}", demo.stdout);
        assert!(trees[0].contains("→ 200 · qwen3-32b"), "{}", trees[0]);
        only(&trees, "cache.hit: true");
        let missing =
            run(&["demo", "--once", "--listen", "127.0.0.1:0", "--envoy=no-such-program"], &[]).await;
        assert_ne!(missing.code, Some(0));
        assert!(missing.stderr.contains("--envoy=PATH"), "{}", missing.stderr);
    });
}
