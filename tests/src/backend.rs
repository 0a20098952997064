//! Simulated backends in the test's own process, on free ports.

use std::net::{Ipv4Addr, SocketAddr};

use simulator::{Answer, Reasoning, Script, Simulator};

use crate::PATIENCE;

/// A backend with a script of its own.
pub async fn scripted(script: Script) -> Simulator {
    Simulator::start(script, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .expect("a simulator can listen")
}

/// The small general model: answers at once.
pub async fn small() -> Simulator {
    faulty("small", &[]).await
}

/// The large model: reasons when asked, answers at once.
pub async fn large() -> Simulator {
    faulty("large", &[]).await
}

/// A backend of this model that these faults strike.
pub async fn faulty(model: &str, faults: &[&str]) -> Simulator {
    scripted(script(model, faults)).await
}

/// What [`faulty`] runs, for tests that change it.
#[must_use]
pub fn script(model: &str, faults: &[&str]) -> Script {
    let reasoning = if model == "large" { Reasoning::WhenAsked } else { Reasoning::Never };
    Script {
        name: model.into(),
        models: vec![model.into()],
        answer: Answer::familiar(),
        reasoning,
        faults: faults.iter().map(|rule| rule.parse().expect("a fault rule")).collect(),
        ..Script::default()
    }
}

/// Waits until `count` requests have ended at a backend, in whatever way.
pub async fn ended(backend: &Simulator, count: usize) {
    assert!(backend.wait_for_ended(count, PATIENCE).await, "the backend has {:?}", backend.requests());
}
