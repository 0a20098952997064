//! What the router adds to a call: the same load straight to a backend and through the router, in turns within one run.
//!
//! Everything runs on this machine's loopback: backend, routers, a collector that takes everything, and the clients.
//! Invariant: no figure is compared with one of another run, since absolute times drift with the machine.

mod plot;
mod report;
pub(crate) mod rounds;
mod stages;
pub(crate) mod variant;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::rig::collector::Collector;
use crate::rig::load::Form;
use crate::rig::process::{self, Process};
use crate::rig::{Failure, results_folder, router_program, say};

use report::{Block, Report};
use rounds::{Contender, Plan};
use variant::Variant;

/// Flags of `proxy`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Length of one slice of load; a slice per contender, load and round
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    seconds: f64,
    /// Slices of each contender and load
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// nginx, as a second backend; found on the PATH if installed
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// The router's program; else it is built
    #[arg(long, value_name = "FILE")]
    router: Option<PathBuf>,
    /// Where the results go; else the target folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Measures, prints the tables, and writes them with the figures and the plot.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let router = router_program(options.router.as_deref())?;
    let out = results_folder(options.out.as_deref(), "proxy-bench")?;
    let scratch = tempfile::tempdir()?;
    let plan = Plan {
        slice: Duration::from_secs_f64(options.seconds.clamp(0.1, 60.0)),
        rounds: options.rounds.clamp(1, 50),
    };
    let collector = Collector::Http.start()?;

    let simulator = Process::simulator(&router)?;
    let mut blocks =
        vec![block("simulator", simulator, &Form::ALL, plan, collector, &router, scratch.path())?];
    if let Some(nginx) = options.nginx.clone().or_else(|| process::on_path("nginx")) {
        let nginx = Process::nginx(&nginx, scratch.path())?;
        blocks.push(block("nginx", nginx, &[Form::Json], plan, collector, &router, scratch.path())?);
    }
    say("reading the spans of requests one at a time");
    let stages = stages::measure(&router, scratch.path())?;

    let report = Report { plan, blocks, stages };
    let markdown = report.markdown();
    std::fs::write(out.join("proxy.json"), serde_json::to_string_pretty(&report.json())?)?;
    std::fs::write(out.join("proxy.md"), &markdown)?;
    std::fs::write(out.join("proxy.svg"), plot::svg(&report))?;
    writeln!(std::io::stdout(), "{markdown}\nwritten to {}", out.display())?;
    Ok(())
}

/// All variants in front of one backend, in turns.
fn block(
    name: &'static str,
    backend: Process,
    forms: &[Form],
    plan: Plan,
    collector: SocketAddr,
    router: &Path,
    scratch: &Path,
) -> Result<Block, Failure> {
    let address = backend.address;
    let mut contenders = vec![Contender::direct(backend)];
    for variant in Variant::ALL {
        let yaml = variant.yaml(address, collector);
        let process = Process::router(router, scratch, &format!("{name}-{}", variant.key()), &yaml)?;
        contenders.push(Contender::through(variant, process));
    }
    let at_rest = contenders.iter().map(Contender::memory_kb).collect();
    let mut series = Vec::new();
    for &form in forms {
        for clients in [1, 16] {
            say(&format!("{name}: {} with {clients} client(s), {} rounds", form.name(), plan.rounds));
            series.push(rounds::measure(&mut contenders, form, clients, plan)?);
        }
    }
    let after_load = contenders.iter().map(Contender::memory_kb).collect();
    let names = contenders.iter().map(|contender| contender.name).collect();
    Ok(Block { backend: name, names, series, at_rest, after_load })
}
