//! Configurations for tests: YAML as people write it, with ports that the kernel chooses.

use simulator::Simulator;

/// A configuration.
#[derive(Clone, Debug)]
pub struct Configuration(String);

/// Doors on free ports, and each request both as a tree and as JSON spans on stdout.
const BENCH: &str = r#"
listen: { http: "127.0.0.1:0", metrics: "127.0.0.1:0", admin: off, extproc: { address: "127.0.0.1:0", decision_timeout_ms: 15000 } }
observability:
  tracing:
    exporter: [{ type: stdout, format: tree }, { type: stdout, format: json }]
    sampling: { type: always_on }
"#;

impl Configuration {
    /// Exactly this YAML.
    #[must_use]
    pub fn exactly(yaml: impl Into<String>) -> Configuration {
        Configuration(yaml.into())
    }

    /// The bench's doors and exporters, and this YAML. It must not repeat their keys.
    #[must_use]
    pub fn new(yaml: &str) -> Configuration {
        Configuration(BENCH.to_owned()).and(yaml)
    }

    /// A small general model and a large reasoning one, each with one endpoint.
    #[must_use]
    pub fn two_models(general: &Simulator, reasoning: &Simulator) -> Configuration {
        Configuration::new(&format!(
            "models:\n  - {}\n  - {}\n",
            model("small", "category: general", &[("backend-1", general)]),
            model("large", "category: reasoning, reasoning_family: qwen3", &[("backend-2", reasoning)]),
        ))
    }

    /// One model with one endpoint.
    #[must_use]
    pub fn one_model(backend: &Simulator) -> Configuration {
        Configuration::new(&format!(
            "models:\n  - {}\n",
            model("small", "category: general", &[("backend-1", backend)])
        ))
    }

    /// With further YAML at the top level.
    #[must_use]
    pub fn and(mut self, yaml: &str) -> Configuration {
        self.0.push_str(yaml);
        self.0.push('\n');
        self
    }

    /// The text.
    #[must_use]
    pub fn yaml(&self) -> &str {
        &self.0
    }
}

/// A model as one line of YAML. `settings` are further keys, without braces, or empty.
#[must_use]
pub fn model(name: &str, settings: &str, endpoints: &[(&str, &Simulator)]) -> String {
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|(name, backend)| format!("{{ name: {name}, address: \"http://{}\" }}", backend.address()))
        .collect();
    let comma = if settings.is_empty() { "" } else { ", " };
    format!("{{ name: {name}, {settings}{comma}endpoints: [{}] }}", endpoints.join(", "))
}
