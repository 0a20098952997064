//! What each stage takes, read from the router's own spans: requests one after the other, traced to a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::variant;
use crate::rig::Failure;
use crate::rig::load::{self, Form};
use crate::rig::process::Process;
use crate::rig::statistics::quantile;

const ROOT: &str = "semantic_router.request.received";

/// How long the last spans may take to reach the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// One stage.
#[derive(Debug)]
pub(crate) struct StageTime {
    /// The span's name, or the attribute's where it is not a span.
    pub(crate) name: String,
    /// How many were read.
    pub(crate) count: usize,
    /// Median, in microseconds.
    pub(crate) p50: f64,
    /// Exceeded by one in a hundred, in microseconds.
    pub(crate) p99: f64,
}

/// The stages in the order of a request, then the router's own time.
pub(crate) fn measure(router: &Path, folder: &Path) -> Result<Vec<StageTime>, Failure> {
    let backend = Process::simulator(router)?;
    let file = folder.join("spans.json");
    let yaml = variant::with_spans(backend.address);
    let process = Process::router_to(router, folder, "spans", &yaml, Stdio::from(File::create(&file)?))?;
    let slice = load::run(process.address, Form::Json, 1, Duration::from_secs(1), || {})?;
    wait_for(&file, slice.latencies_ns.len())?;
    drop(process);
    Ok(read(&std::fs::read_to_string(&file)?))
}

/// Waits until as many roots as requests are there; the warm-up's come on top.
fn wait_for(file: &Path, requests: usize) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(file)?;
        if text.lines().filter(|line| line.contains(ROOT)).count() >= requests {
            return Ok(());
        }
        if Instant::now() > until {
            // A queue that was full has dropped some: what there is stands for the rest.
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read(text: &str) -> Vec<StageTime> {
    let mut order: Vec<String> = Vec::new();
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut note = |name: &str, nanoseconds: u64| {
        if !times.contains_key(name) {
            order.push(name.to_owned());
        }
        times.entry(name.to_owned()).or_default().push(nanoseconds);
    };
    for span in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(name) = span["Name"].as_str() else { continue };
        note(name, span["Duration"].as_u64().unwrap_or(0));
        if name == ROOT
            && let Some(own_ms) = attribute(&span, "processing.router_time_ms")
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a time of a second at most"
            )]
            note("processing.router_time_ms", (own_ms * 1e6) as u64);
        }
    }
    let stage = |name: String| {
        let mut times = times.remove(&name).unwrap_or_default();
        times.sort_unstable();
        let at = |share| quantile(&times, share) as f64 / 1e3;
        StageTime { count: times.len(), p50: at(0.5), p99: at(0.99), name }
    };
    order.into_iter().map(stage).collect()
}

fn attribute(span: &Value, key: &str) -> Option<f64> {
    let attributes = span["Attributes"].as_array()?;
    attributes.iter().find(|attribute| attribute["Key"] == key)?["Value"].as_f64()
}
