//! Taking turns: each round gives every contender one slice of load, so that a machine that grows slower or faster
//! does so for all of them.

use std::time::Duration;

use super::variant::Variant;
use crate::rig::Failure;
use crate::rig::load::{self, Form};
use crate::rig::process::Process;
use crate::rig::slice::{self, Cell};
use crate::rig::statistics::Spread;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Length of one slice.
    pub(crate) slice: Duration,
    /// Slices of each contender.
    pub(crate) rounds: usize,
}

/// Something that answers requests.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Its name in tables.
    pub(crate) name: &'static str,
    process: Process,
}

impl Contender {
    /// The backend itself: always the first.
    pub(crate) fn direct(process: Process) -> Contender {
        Contender { name: "straight to the backend", process }
    }

    /// The router in front of it.
    pub(crate) fn through(variant: Variant, process: Process) -> Contender {
        Contender { name: variant.name(), process }
    }

    /// Anything that answers requests.
    pub(crate) fn named(name: &'static str, process: Process) -> Contender {
        Contender { name, process }
    }

    /// Its resident memory, in kB.
    pub(crate) fn memory_kb(&self) -> u64 {
        self.process.memory_kb()
    }
}

/// All contenders under one load.
#[derive(Debug)]
pub(crate) struct Series {
    /// The form of the answers.
    pub(crate) form: Form,
    /// Clients at once.
    pub(crate) clients: usize,
    /// One row per contender, the backend itself first.
    pub(crate) rows: Vec<Row>,
}

/// One contender under one load. Times are in microseconds.
#[derive(Debug)]
pub(crate) struct Row {
    /// Median latency.
    pub(crate) p50: Spread,
    /// Latency that one request in a hundred exceeds.
    pub(crate) p99: Spread,
    /// What it adds to the median of the backend itself, round by round.
    pub(crate) added_p50: Spread,
    /// The same for one request in a hundred.
    pub(crate) added_p99: Spread,
    /// Requests per second.
    pub(crate) rate: Spread,
    /// Its rate by that of the backend itself, round by round.
    pub(crate) rate_ratio: Spread,
    /// Processor time of its process per request.
    pub(crate) processor: Spread,
    /// Processor time of the backend per request.
    pub(crate) backend_processor: Spread,
    /// Traces that its exporters refused, by requests.
    pub(crate) dropped: Spread,
}

/// Measures in turns. The first contender is the backend of all others.
pub(crate) fn measure(
    contenders: &mut [Contender],
    form: Form,
    clients: usize,
    plan: Plan,
) -> Result<Series, Failure> {
    let mut cells: Vec<Vec<Cell>> = contenders.iter().map(|_| Vec::with_capacity(plan.rounds)).collect();
    for _ in 0..plan.rounds {
        for (contender, cells) in contenders.iter().zip(&mut cells) {
            let backend = &contenders[0].process;
            let address = contender.process.address;
            let load = |begin: &mut dyn FnMut()| load::run(address, form, clients, plan.slice, begin);
            let cell = slice::measure(&contender.process, backend, load)
                .map_err(|error| format!("{}, {}: {error}", contender.name, form.name()))?;
            cells.push(cell);
        }
    }
    let direct = cells[0].clone();
    Ok(Series { form, clients, rows: cells.iter().map(|cells| row(cells, &direct)).collect() })
}

fn row(cells: &[Cell], direct: &[Cell]) -> Row {
    let of = |figure: fn(&Cell) -> f64| Spread::of(cells.iter().map(figure));
    let pairs = || cells.iter().zip(direct);
    Row {
        p50: of(|cell| cell.p50),
        p99: of(|cell| cell.p99),
        added_p50: Spread::of(pairs().map(|(cell, direct)| cell.p50 - direct.p50)),
        added_p99: Spread::of(pairs().map(|(cell, direct)| cell.p99 - direct.p99)),
        rate: of(|cell| cell.rate),
        rate_ratio: Spread::of(pairs().map(|(cell, direct)| cell.rate / direct.rate)),
        processor: of(|cell| cell.processor),
        backend_processor: of(|cell| cell.backend_processor),
        dropped: of(|cell| cell.dropped),
    }
}
