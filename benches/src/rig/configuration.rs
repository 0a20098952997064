//! Configurations that more than one measurement uses, but for listeners and tracing.

use std::net::SocketAddr;

/// All three checks, a decision by domain with a system prompt, and a reasoning switch: each request passes every stage
/// but those of the cache.
pub(crate) fn every_check(backend: SocketAddr) -> String {
    format!(
        r#"models:
  - {{ name: small, category: general, endpoints: [{{ name: one, address: "http://{backend}" }}] }}
  - {{ name: large, category: reasoning, reasoning_family: qwen3, endpoints: [{{ name: two, address: "http://{backend}" }}] }}
signals:
  - {{ name: exact-science, domain: {{ any: [math, physics, chemistry] }} }}
decisions:
  - name: think-first
    when: exact-science
    route:
      models: [large]
      reasoning: on
      system_prompt: {{ mode: prepend, text: "Show each step, then the result." }}
"#
    )
}
