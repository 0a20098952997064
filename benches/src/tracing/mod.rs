//! What tracing costs: each sampling with each exporter against no tracing at all, in turns within one run, at half of the
//! rate that the machine sustains and at all of it.
//!
//! Two contenders do not trace: how far the second is from the first in the same rounds is how far two figures can lie
//! apart without any cause, and nothing nearer than that is a difference.

mod contender;
mod report;
mod rounds;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::rig::collector::Collector;
use crate::rig::load::{self, Form};
use crate::rig::process::Process;
use crate::rig::statistics::quantile;
use crate::rig::{Failure, paced, results_folder, router_program, say};
use contender::{Contender, Targets, Tracing};
use report::Report;
use rounds::Plan;

/// Flags of `tracing`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Length of one slice of load; two slices per contender and round
    #[arg(long, default_value_t = 1.5, value_name = "SECONDS")]
    seconds: f64,
    /// Slices of each contender and load
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Requests per second of the half load; else half of what the router without tracing sustains, measured first
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// The router's program; else it is built
    #[arg(long, value_name = "FILE")]
    router: Option<PathBuf>,
    /// Where the results go; else the target folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Clients at saturation, and connections at half of it.
const CLIENTS: usize = 16;

/// Measures, prints the tables, and writes them with the figures and the plot.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let router = router_program(options.router.as_deref())?;
    let out = results_folder(options.out.as_deref(), "tracing-bench")?;
    let scratch = tempfile::tempdir()?;
    let backend = Process::simulator(&router)?;
    let targets =
        Targets { backend: backend.address, http: Collector::Http.start()?, grpc: Collector::Grpc.start()? };
    let mut contenders = Vec::new();
    for tracing in Tracing::all() {
        contenders.push(Contender::start(tracing, targets, &router, scratch.path())?);
    }
    let slice = Duration::from_secs_f64(options.seconds.clamp(0.1, 60.0));
    let rate = match options.rate {
        Some(rate) => rate.clamp(1.0, 1e6),
        None => half_of_saturation(&contenders[0], slice)?,
    };
    let plan = Plan { slice, rounds: options.rounds.clamp(1, 100), rate, clients: CLIENTS };
    let half = rounds::at_half(&contenders, &backend, plan)?;
    let full = rounds::at_saturation(&contenders, &backend, plan)?;
    let memory = contenders.iter().map(|contender| contender.process.memory_kb()).collect();
    let names = contenders.iter().map(|contender| contender.tracing.name()).collect();
    let report = Report { plan, names, half, full, memory };
    let markdown = report.markdown();
    std::fs::write(out.join("tracing.json"), serde_json::to_string_pretty(&report.json())?)?;
    std::fs::write(out.join("tracing.md"), &markdown)?;
    std::fs::write(out.join("tracing.svg"), report.svg())?;
    writeln!(std::io::stdout(), "{markdown}\nwritten to {}", out.display())?;
    Ok(())
}

/// The least latency at the median that means that requests queue, in nanoseconds: many times that of an idle machine.
const QUEUEING_NS: u64 = 2_000_000;

/// Half of the highest rate at which requests at random moments do not queue in the router without tracing. A closed loop's
/// rate is no measure for that: its clients wait for answers, and thereby for each other.
fn half_of_saturation(off: &Contender, slice: Duration) -> Result<f64, Failure> {
    say("measuring what the router sustains without tracing");
    let address = off.process.address;
    let closed = load::run(address, Form::Json, CLIENTS, slice, || ())?;
    let (mut holds, mut queues) =
        (0.0, 1.5 * closed.latencies_ns.len() as f64 / closed.elapsed.as_secs_f64());
    for step in 0..8 {
        let rate = f64::midpoint(holds, queues);
        let open = paced::run(address, rate, CLIENTS, slice, step, || ())?;
        if quantile(&open.latencies_ns, 0.5) < QUEUEING_NS {
            holds = rate;
        } else {
            queues = rate;
        }
    }
    // To a round hundred, so that the figure in the report is the figure that was used.
    Ok((holds / 200.0).round().max(1.0) * 100.0)
}
