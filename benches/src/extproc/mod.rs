//! What the router adds to a call through Envoy: the same load through Envoy alone, through Envoy with a processor that does
//! nothing, and through Envoy with the router, in turns within one run.
//!
//! Everything runs on this machine's loopback. The first contender is Envoy alone, so that "added" is over Envoy and not
//! over the backend. Invariant: as in `proxy`, no figure is compared with one of another run.

mod envoy;
mod idle;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::proxy::rounds::{self, Contender, Plan, Series};
use crate::proxy::variant::Variant;
use crate::rig::collector::Collector;
use crate::rig::load::Form;
use crate::rig::process::{self, Process};
use crate::rig::{Failure, results_folder, router_program, say};
use envoy::Bodies;

/// Flags of `extproc`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Length of one slice of load; a slice per contender, load and round
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    seconds: f64,
    /// Slices of each contender and load
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Envoy; found by SEMANTIC_ROUTER_ENVOY or on the PATH if it is not named
    #[arg(long, value_name = "FILE", env = "SEMANTIC_ROUTER_ENVOY")]
    envoy: Option<PathBuf>,
    /// The router's program; else it is built
    #[arg(long, value_name = "FILE")]
    router: Option<PathBuf>,
    /// Where the results go; else the target folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// What stands behind Envoy, and how bodies go there.
const WITH_ROUTER: [(&str, Variant, Bodies); 4] = [
    ("the router, no checks, no tracing", Variant::Bare, Bodies::Buffered),
    ("the router, every check, no tracing", Variant::Checks, Bodies::Buffered),
    ("the router, every check, all traces to a collector", Variant::Otlp, Bodies::Buffered),
    ("the same in full duplex", Variant::Otlp, Bodies::FullDuplex),
];

/// Measures, prints the tables, and writes them with the figures.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let envoy = options.envoy.clone().or_else(|| process::on_path("envoy"));
    let envoy = envoy.ok_or("there is no Envoy; name its program with --envoy")?;
    let router = router_program(options.router.as_deref())?;
    let out = results_folder(options.out.as_deref(), "extproc-bench")?;
    let scratch = tempfile::tempdir()?;
    let plan = Plan {
        slice: Duration::from_secs_f64(options.seconds.clamp(0.1, 60.0)),
        rounds: options.rounds.clamp(1, 50),
    };
    let collector = Collector::Http.start()?;
    let backend = Process::simulator(&router)?;
    let idle = idle::start()?;
    let start = |processor, bodies| envoy::start(&envoy, backend.address, processor, bodies);
    let mut names = vec!["Envoy alone", "Envoy and a processor that does nothing"];
    let mut contenders = vec![
        Contender::named(names[0], start(None, Bodies::Buffered)?),
        Contender::named(names[1], start(Some(idle), Bodies::Buffered)?),
    ];
    // They answer for as long as they are held.
    let mut routers = Vec::new();
    for (number, (name, variant, bodies)) in WITH_ROUTER.into_iter().enumerate() {
        let yaml = variant.yaml(backend.address, collector);
        let process = Process::router(&router, scratch.path(), &format!("extproc-{number}"), &yaml)?;
        contenders.push(Contender::named(name, start(process.extproc, bodies)?));
        names.push(name);
        routers.push(process);
    }
    let mut series = Vec::new();
    for form in Form::ALL {
        for clients in [1, 16] {
            say(&format!("{} with {clients} client(s), {} rounds", form.name(), plan.rounds));
            series.push(rounds::measure(&mut contenders, form, clients, plan)?);
        }
    }
    let memory: Vec<u64> = routers.iter().map(Process::memory_kb).collect();
    let markdown = markdown(&names, &series, &memory, plan);
    std::fs::write(out.join("extproc.json"), serde_json::to_string_pretty(&figures(&names, &series, plan))?)?;
    std::fs::write(out.join("extproc.md"), &markdown)?;
    writeln!(std::io::stdout(), "{markdown}\nwritten to {}", out.display())?;
    Ok(())
}

fn markdown(names: &[&str], series: &[Series], memory: &[u64], plan: Plan) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{} rounds of {} s for each contender and load, in turns. Median over the rounds, with the least and the most.",
        plan.rounds,
        plan.slice.as_secs_f64()
    );
    for series in series {
        let clients =
            if series.clients == 1 { "one client".to_owned() } else { format!("{} clients", series.clients) };
        let _ = writeln!(text, "\n**{}, {clients}**\n", series.form.name());
        let _ =
            writeln!(text, "| | p50 µs | over Envoy alone | p99 µs | requests/s |\n|---|--:|--:|--:|--:|");
        for (place, (name, row)) in names.iter().zip(&series.rows).enumerate() {
            let added = if place == 0 { "—".to_owned() } else { row.added_p50.text(0) };
            let (p50, p99) = (row.p50.median, row.p99.median);
            let _ = writeln!(text, "| {name} | {p50:.0} | {added} | {p99:.0} | {} |", row.rate.text(0));
        }
    }
    let routers: Vec<String> = memory.iter().map(|kb| format!("{} MB", kb / 1024)).collect();
    let _ = writeln!(text, "\nMemory of the routers after all of it: {}.", routers.join(", "));
    text
}

fn figures(names: &[&str], series: &[Series], plan: Plan) -> Value {
    let one = |series: &Series| {
        let rows = names.iter().zip(&series.rows).map(|(name, row)| {
            json!({
                "name": name,
                "p50_us": row.p50.json(),
                "p99_us": row.p99.json(),
                "added_p50_us": row.added_p50.json(),
                "requests_per_second": row.rate.json(),
            })
        });
        let rows: Vec<Value> = rows.collect();
        json!({"form": series.form.name(), "clients": series.clients, "rows": rows})
    };
    json!({
        "rounds": plan.rounds,
        "slice_seconds": plan.slice.as_secs_f64(),
        "series": series.iter().map(one).collect::<Vec<_>>(),
    })
}
