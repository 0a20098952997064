//! The example with OpenAI's client as its reader runs it: the program, the router's configuration and the models as they stand
//! in `examples/distributed-tracing/`, with a collector that shows which traces came of it.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use simulator::{Script, Simulator, Traces};
use tests::configuration::Configuration;
use tests::real_parts::{Collector, PYTHON, ROTEL, found};
use tests::router::Router;
use tests::{PATIENCE, backend, bounded, repository};
use tokio::process::Command;

const PROGRAM: &str = "openai_client_tracing.py";

/// Each example: which model answers, and how many spans of the router and of the engine its trace has.
const EXAMPLES: [(&str, &str, usize, usize); 7] = [
    ("example_1_auto_routing", "llama-3.1-70b: ", 10, 1),
    ("example_2_reasoning", "llama-3.1-70b: The derivative of x^3 is 3x^2.", 10, 1),
    ("example_3_cached", "llama-3.1-70b: The derivative of x^3 is 3x^2.", 5, 0),
    ("example_4_named_model", "llama-3.1-8b: ", 10, 1),
    ("example_5_streaming", "28 chunks: This is llama-3.1-8b", 10, 1),
    ("example_6_blocked", "refused with 403, as it should be", 4, 0),
    ("example_7_custom_span", "llama-3.1-8b: ", 20, 2),
];

#[test]
fn each_example_is_one_trace_of_client_router_and_engine() {
    let test = "example::each_example_is_one_trace_of_client_router_and_engine";
    let Some(python) = found(test, PYTHON) else { return };
    let Some(rotel) = found(test, ROTEL) else { return };
    bounded(async {
        let collector = Collector::start(&python, &rotel).await;
        let (small, large) =
            (model("llama-3.1-8b", &collector).await, model("llama-3.1-70b", &collector).await);
        let router = router(&collector.grpc, &small, &large).await;
        let url = format!("http://{}", router.address());
        let endpoint = format!("http://{}", collector.grpc);
        let ended =
            run(&python, &[("SEMANTIC_ROUTER_URL", url.as_str()), ("OTLP_ENDPOINT", endpoint.as_str())])
                .await;
        router.end().await;
        assert_eq!(
            (small.shutdown().await, large.shutdown().await),
            (0, 0),
            "the engines delivered their spans"
        );
        let said = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&ended.stderr));
        let spans = collector.spans().await;
        for (line, (name, outcome, by_router, by_engine)) in said.lines().zip(EXAMPLES) {
            let rest = line.strip_prefix(name).and_then(|rest| rest.trim_start().strip_prefix("trace "));
            let (trace_id, told) = rest.and_then(|rest| rest.split_once("  ")).expect(line);
            assert!(told.starts_with(outcome), "{line}");
            let mine: Vec<&Value> = spans.iter().filter(|span| span["trace_id"] == trace_id).collect();
            let of = |service: &str| {
                mine.iter().filter(|span| span["resource"]["service.name"] == service).count()
            };
            assert_eq!((of("vllm-semantic-router"), of("vllm")), (by_router, by_engine), "{line}");
            let roots: Vec<&&Value> = mine.iter().filter(|span| span["parent_id"].is_null()).collect();
            assert_eq!(roots.len(), 1, "{line}: {roots:?}");
            assert_eq!(roots[0]["name"], name);
            assert_eq!(roots[0]["resource"]["service.name"], "openai-client-example");
            if name == "example_7_custom_span" {
                let own =
                    mine.iter().find(|span| span["name"] == "my_operation").expect("the span of its own");
                assert_eq!(own["attributes"]["custom.attribute"], "value");
            }
        }
        assert!(said.lines().count() >= EXAMPLES.len(), "{said}");
    });
}

#[test]
fn without_a_router_it_says_where_it_looked() {
    let Some(python) = found("example::without_a_router_it_says_where_it_looked", PYTHON) else { return };
    bounded(async {
        // Bound but not listening: refused for certain, since nobody else can take the port.
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        let ended = run(&python, &[("SEMANTIC_ROUTER_URL", url.as_str())]).await;
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("the router does not answer at {url}/health")), "{said}");
    });
}

/// A model as the example's compose file starts it, without its pace.
async fn model(name: &str, collector: &Collector) -> Simulator {
    let endpoint = collector.grpc.parse().expect("an endpoint");
    let traces = Some(Traces { endpoint, service: Traces::SERVICE.into() });
    backend::scripted(Script { traces, ..backend::script(name, &[]) }).await
}

/// The router with the example's own file; only its ports are others.
async fn router(collector: &str, small: &Simulator, large: &Simulator) -> Router {
    let file = repository().join("examples/distributed-tracing/router-config.yaml");
    let yaml = std::fs::read_to_string(file).expect("the example's configuration");
    let [small, large] = [small, large].map(|model| format!("http://{}", model.address()));
    let ports =
        ["--set", "listen.http=127.0.0.1:0", "--set", "listen.metrics=off", "--set", "listen.admin=off"];
    let variables =
        [("OTLP_ENDPOINT", collector), ("BACKEND_1", small.as_str()), ("BACKEND_2", large.as_str())];
    Router::start_with(Configuration::exactly(yaml), &ports, &variables).await
}

async fn run(python: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(python);
    command.arg("-B").arg(repository().join("examples/distributed-tracing").join(PROGRAM));
    command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE * 2, command.output()).await.expect("the example ends");
    ended.expect("the example starts")
}
