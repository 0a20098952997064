//! The Go ancestor's own Envoy configuration, as its command line makes it, in front of this router: unchanged but for
//! addresses.

use std::path::Path;

use simulator::Simulator;
use tests::client::{chat, streamed};
use tests::configuration::Configuration;
use tests::envoy::{self, Envoy};
use tests::real_parts::found;
use tests::router::Router;
use tests::{backend, bounded};
use tokio::process::Command;

/// Where the ancestor's command line is.
const VLLM_SR: &str = "SEMANTIC_ROUTER_VLLM_SR";

/// The ancestor's configuration of two models. Names of hosts as it wants them; the tests put addresses in their place.
const CONFIGURATION: &str = r#"version: v0.3
listeners:
  - { name: http-8899, address: 0.0.0.0, port: 8899, timeout: 300s }
providers:
  defaults: { model: small }
  models:
    - name: small
      backend_refs: [{ name: primary, provider: vllm, endpoint: "host.docker.internal:8001", protocol: http, weight: 100 }]
    - name: large
      backend_refs: [{ name: primary, provider: vllm, endpoint: "host.docker.internal:8002", protocol: http, weight: 100 }]
routing:
  modelCards: [{ name: small }, { name: large }]
  decisions:
    - name: default-route
      description: Everything.
      priority: 100
      rules: { operator: AND, conditions: [] }
      modelRefs: [{ model: small, use_reasoning: false }, { model: large, use_reasoning: false }]
"#;

#[test]
fn the_ancestors_envoy_configuration_works_in_front_of_this_router() {
    const NAME: &str = "extproc::ancestor::the_ancestors_envoy_configuration_works_in_front_of_this_router";
    let (Some(program), Some(ancestor)) = (envoy::found(NAME), found(NAME, VLLM_SR)) else { return };
    bounded(async {
        let (small, large) = (backend::small().await, backend::large().await);
        let router = Router::start(Configuration::two_models(&small, &large).and(super::DECISIONS)).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let generated = generated(&ancestor, folder.path()).await;
        let extproc = router.extproc().await;
        let addressed = addressed(&generated, extproc.port(), &small, &large);
        let file = folder.path().join("envoy.yaml");
        std::fs::write(&file, addressed).expect("the configuration can be written");
        let envoy = Envoy::start_file(&program, &file, folder).await;
        let whole = envoy.client().chat(&chat("Prove that tea is wet")).await;
        assert_eq!((whole.status, whole.complete), (200, true), "{}", whole.text());
        assert!(whole.content().contains("large"), "{}", whole.text());
        assert_eq!(whole.header("x-vsr-selected-model"), Some("large"));
        let mut body = streamed("Hello");
        body["model"] = "small".into();
        let stream = envoy.client().chat(&body).await;
        assert_eq!(
            (stream.status, stream.complete, stream.is_done()),
            (200, true, true),
            "{}",
            stream.text()
        );
        assert!(stream.content().contains("small"), "{}", stream.text());
        assert_eq!((small.requests().len(), large.requests().len()), (1, 1));
        envoy.end().await;
        let left = router.end().await;
        for answer in [&whole, &stream] {
            assert_eq!(left.spans(answer.trace_id())[0].get("semantic_router.observed"), "body");
        }
    });
}

/// What the ancestor makes of its configuration.
async fn generated(ancestor: &Path, folder: &Path) -> String {
    std::fs::write(folder.join("config.yaml"), CONFIGURATION).expect("the configuration can be written");
    let mut command = Command::new(ancestor);
    command.args(["config", "envoy", "--config", "config.yaml"]).current_dir(folder).kill_on_drop(true);
    // It imports far more than it needs for this, which takes long on a machine under load.
    let output = tokio::time::timeout(tests::PATIENCE * 3, command.output()).await.expect("it ends");
    let output = output.expect("the ancestor's command line runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("ExternalProcessor"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Ports that the kernel chooses, our router, and our backends; where it logs to, nobody may write.
fn addressed(generated: &str, extproc: u16, small: &Simulator, large: &Simulator) -> String {
    let mut text = generated.to_owned();
    let ports = [
        ("port_value: 8899", "port_value: 0".to_owned()),
        ("port_value: 9901", "port_value: 0".to_owned()),
        ("port_value: 50051", format!("port_value: {extproc}")),
        ("port_value: 8001", format!("port_value: {}", small.address().port())),
        ("port_value: 8002", format!("port_value: {}", large.address().port())),
        ("address: host.docker.internal", "address: 127.0.0.1".to_owned()),
        ("/var/log/envoy_access.log", "/dev/null".to_owned()),
    ];
    for (theirs, ours) in ports {
        assert!(text.contains(theirs), "the configuration has no {theirs:?}:\n{generated}");
        text = text.replace(theirs, &ours);
    }
    text
}
