//! Configuration files as people write, break and change them while the router runs.

use std::os::unix::fs::symlink;
use std::path::Path;

use tests::backend::{self, faulty};
use tests::bounded;
use tests::client::{chat, post, streamed};
use tests::configuration::Configuration;
use tests::process::{Process, run};
use tests::router::Router;

/// Mistakes of three sections and of three kinds: an unknown key, a name of nobody, a number out of its range. What each kind
/// is told is tested beside the settings.
const MISTAKES: &str = r#"modles: []
models:
  - { name: "qwen3-8b", category: "general", endpoints: [{ name: "e1", address: "http://vllm:8000" }] }
default_model: "qwen3"
cache: { ttl_seconds: 0 }
"#;

#[test]
fn every_mistake_is_told_and_the_exit_code_is_two() {
    bounded(async {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("wrong.yaml");
        std::fs::write(&file, MISTAKES).expect("a file");
        let file = file.to_str().expect("a path");
        for command in
            [&["validate", "--config", file][..], &["check", "--config", file], &["--config", file]]
        {
            let ended = run(command, &[]).await;
            assert_eq!(ended.code, Some(2), "{command:?}: {}", ended.stderr);
            for place in ["modles", "default_model", "cache.ttl_seconds", r#"did you mean "models"?"#] {
                assert!(
                    ended.stderr.contains(place),
                    "{command:?} says nothing of {place}: {}",
                    ended.stderr
                );
            }
        }
    });
}

#[test]
fn a_file_that_is_not_there_and_a_flag_that_does_not_exist() {
    bounded(async {
        for arguments in
            [&["--config", "/no/such/file.yaml"][..], &["--no-such-flag"], &["serve", "--set", "modles=1"]]
        {
            let ended = run(arguments, &[]).await;
            assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
            assert!(!ended.stderr.is_empty(), "{arguments:?}");
        }
    });
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    bounded(async {
        let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = held.local_addr().expect("an address").to_string();
        for door in ["http", "metrics"] {
            let set = format!("listen.{door}={address}");
            let other = if door == "http" { "listen.metrics=off" } else { "listen.http=127.0.0.1:0" };
            let ended =
                run(&["--no-config", "--set", &set, "--set", other, "--set", "listen.admin=off"], &[]).await;
            assert_eq!(ended.code, Some(1), "{}", ended.stderr);
            let told = ended.stderr.contains(&address) && ended.stderr.contains(&format!("listen.{door}"));
            assert!(told, "{}", ended.stderr);
        }
    });
}

/// The default port is the one port that a test must name: it may be taken by anybody, and is then not missed.
#[test]
fn a_taken_port_that_nobody_asked_for_is_a_warning() {
    bounded(async {
        let held = std::net::TcpListener::bind("127.0.0.1:9190");
        let configuration = Configuration::exactly("listen: { http: '127.0.0.1:0', admin: off }\n");
        let router = Router::start(configuration).await;
        assert_eq!(router.client().get("/health").await.status, 200);
        if held.is_ok() {
            router.process.stderr.until_contains("the metrics listener cannot open 127.0.0.1:9190").await;
        }
        router.end().await;
    });
}

/// The names of the models that the router offers, without those of routing.
async fn models(router: &Router) -> Vec<String> {
    let list = router.client().get("/v1/models").await.json();
    let names = list["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str());
    names.filter(|name| !["auto", "MoM"].contains(name)).map(str::to_owned).collect()
}

/// A configuration with one model of this name.
async fn named(name: &str) -> Configuration {
    let backend = faulty(name, &[]).await;
    let models = tests::configuration::model(name, "", &[("backend", &backend)]);
    Configuration::new(&format!("models:\n  - {models}\n"))
}

#[test]
fn a_rewritten_file_is_taken_over_and_a_bad_one_is_not() {
    bounded(async {
        let router = Router::start(named("first").await).await;
        let version = |answer: tests::client::Answer| answer.json()["config_version"].clone();
        let before = version(router.client().get("/version").await);

        std::fs::write(router.file(), MISTAKES).expect("a file");
        router.process.stderr.until_contains("configuration not reloaded").await;
        router.process.stderr.until_contains("default_model").await;
        assert_eq!(models(&router).await, ["first"]);
        assert_eq!(version(router.client().get("/version").await), before);

        std::fs::write(router.file(), named("second").await.yaml()).expect("a file");
        router.process.stderr.until_contains("configuration reloaded").await;
        assert_eq!(models(&router).await, ["second"]);
        assert_ne!(version(router.client().get("/version").await), before);
        router.end().await;
    });
}

/// What a change cannot do to a running process is said, not ignored.
#[test]
fn a_listener_that_moves_needs_a_restart() {
    bounded(async {
        let configuration = named("only").await;
        let moved = configuration.yaml().replacen("127.0.0.1:0", "127.0.0.1:1", 1);
        let router = Router::start(configuration).await;
        std::fs::write(router.file(), moved).expect("a file");
        router.process.stderr.until_contains("only after a restart").await;
        assert_eq!(models(&router).await, ["only"]);
        router.end().await;
    });
}

/// A mounted ConfigMap: the file is a link into `..data`, itself a link that is swapped for another folder.
#[test]
fn a_swapped_link_is_taken_over_as_kubernetes_does_it() {
    bounded(async {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        generation(at, "..first", named("first").await.yaml());
        symlink("..first", at.join("..data")).expect("a link");
        symlink("..data/config.yaml", at.join("config.yaml")).expect("a link");
        let file = at.join("config.yaml");
        let process = Process::start(&["--config", file.to_str().expect("a path")], &[], at);
        let router = Router::listening(process, folder).await;
        assert_eq!(models(&router).await, ["first"]);

        let at = file.parent().expect("a folder");
        generation(at, "..second", named("second").await.yaml());
        symlink("..second", at.join("..data_tmp")).expect("a link");
        std::fs::rename(at.join("..data_tmp"), at.join("..data")).expect("a swap");
        router.process.stderr.until_contains("configuration reloaded").await;
        assert_eq!(models(&router).await, ["second"]);
        router.end().await;
    });
}

fn generation(at: &Path, name: &str, yaml: &str) {
    std::fs::create_dir(at.join(name)).expect("a folder");
    std::fs::write(at.join(name).join("config.yaml"), yaml).expect("a file");
}

/// A link into another folder is not watched there; SIGHUP is for that.
#[test]
fn a_hangup_reads_the_file_again() {
    bounded(async {
        let (folder, elsewhere) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let target = elsewhere.path().join("real.yaml");
        std::fs::write(&target, named("first").await.yaml()).expect("a file");
        let file = folder.path().join("config.yaml");
        symlink(&target, &file).expect("a link");
        let process = Process::start(&[], &[("CONFIG_PATH", file.to_str().expect("a path"))], folder.path());
        let router = Router::listening(process, folder).await;
        std::fs::write(&target, named("second").await.yaml()).expect("a file");
        assert_eq!(models(&router).await, ["first"]);
        router.process.signal("HUP").await;
        router.process.stderr.until_contains("configuration reloaded").await;
        assert_eq!(models(&router).await, ["second"]);
        router.end().await;
    });
}

#[test]
fn a_stream_in_flight_is_finished_before_the_end() {
    bounded(async {
        let paced = simulator::Script {
            tokens_per_second: 50.0,
            output_tokens: Some(20),
            ..backend::script("small", &[])
        };
        let small = backend::scripted(paced).await;
        let router = Router::start(Configuration::one_model(&small)).await;
        let request = post("/v1/chat/completions", &[], streamed("Hello").to_string().as_bytes());
        let mut connection = router.client().open(&request).await;
        connection.until("chat.completion.chunk").await;
        router.process.signal("TERM").await;
        let answer = connection.answer().await;
        assert!(answer.complete && answer.is_done(), "{}", answer.text());
        let ended = router.process.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(tests::tree::find(&ended.stdout, answer.trace_id()).is_some(), "its trace is delivered too");
    });
}

#[test]
fn a_second_interrupt_ends_at_once() {
    bounded(async {
        let endless = faulty("small", &["never-ends"]).await;
        let patient = Configuration::one_model(&endless).and("shutdown: { drain_seconds: 3600 }");
        let router = Router::start(patient).await;
        let request = post("/v1/chat/completions", &[], streamed("Hello").to_string().as_bytes());
        let mut connection = router.client().open(&request).await;
        connection.until("chat.completion.chunk").await;
        router.process.signal("INT").await;
        router.process.stderr.until_contains("waiting for those in flight").await;
        router.process.signal("INT").await;
        let ended = router.process.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    });
}

#[test]
fn without_a_file_and_without_a_provider_it_says_so() {
    bounded(async {
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = ["--no-config", "--set", "listen.http=127.0.0.1:0", "--set", "listen.metrics=off"];
        let process = Process::start(&arguments, &[], folder.path());
        let router = Router::listening(process, folder).await;
        let answer = router.client().chat(&chat("Hi")).await;
        assert_eq!(answer.error(), (503, "no_backend".to_owned()));
        assert_eq!(router.client().get("/health").await.status, 200);
        assert_eq!(router.client().get("/ready").await.status, 503);
        router.end().await;
    });
}

#[test]
fn a_provider_in_the_environment_is_enough() {
    bounded(async {
        let provider = faulty("provided", &[]).await;
        let url = format!("http://{}/v1", provider.address());
        let variables = [
            ("OPENAI_BASE_URL", url.as_str()),
            ("OPENAI_API_KEY", "sk-of-a-test"),
            ("OPENAI_MODEL", "provided"),
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let arguments = ["--no-config", "--set", "listen.http=127.0.0.1:0", "--set", "listen.metrics=off"];
        let router = Router::listening(Process::start(&arguments, &variables, folder.path()), folder).await;
        let answer = router.client().chat(&chat("Hi")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(provider.requests()[0].headers["authorization"], "Bearer sk-of-a-test");
        let left = router.end().await;
        assert!(!(left.0.stdout + &left.0.stderr).contains("sk-of-a-test"), "the key is nowhere");
    });
}
