//! Taking turns: each round gives every contender one slice of load. Where a round begins moves on by one each time, so that
//! no contender always follows the same one.

use std::time::Duration;

use super::contender::Contender;
use crate::rig::load::{self, Form, Slice};
use crate::rig::process::Process;
use crate::rig::slice::{self, Cell};
use crate::rig::statistics::Spread;
use crate::rig::{Failure, paced, say};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Length of one slice.
    pub(crate) slice: Duration,
    /// Slices of each contender and load.
    pub(crate) rounds: usize,
    /// Requests per second at half of saturation.
    pub(crate) rate: f64,
    /// Connections.
    pub(crate) clients: usize,
}

/// One contender under one load; ratios are to the first contender in the same round.
#[derive(Debug)]
pub(crate) struct Row {
    /// Median latency in microseconds.
    pub(crate) p50: Spread,
    /// By that of the first.
    pub(crate) p50_ratio: Spread,
    /// Latency that one request in a hundred exceeds, in microseconds.
    pub(crate) p99: Spread,
    /// By that of the first.
    pub(crate) p99_ratio: Spread,
    /// Requests per second.
    pub(crate) rate: Spread,
    /// By that of the first.
    pub(crate) rate_ratio: Spread,
    /// Processor time of the router per request, in microseconds.
    pub(crate) processor: Spread,
    /// By that of the first.
    pub(crate) processor_ratio: Spread,
    /// Traces that its exporter refused, by requests.
    pub(crate) dropped: Spread,
}

/// At the rate of the plan, whatever the answers take.
pub(crate) fn at_half(contenders: &[Contender], backend: &Process, plan: Plan) -> Result<Vec<Row>, Failure> {
    measure(contenders, backend, plan, "half of saturation", |contender, round, begin| {
        paced::run(contender.process.address, plan.rate, plan.clients, plan.slice, round, begin)
    })
}

/// Each client as fast as it gets answers.
pub(crate) fn at_saturation(
    contenders: &[Contender],
    backend: &Process,
    plan: Plan,
) -> Result<Vec<Row>, Failure> {
    measure(contenders, backend, plan, "saturation", |contender, _, begin| {
        load::run(contender.process.address, Form::Json, plan.clients, plan.slice, begin)
    })
}

fn measure(
    contenders: &[Contender],
    backend: &Process,
    plan: Plan,
    what: &str,
    load: impl Fn(&Contender, u64, &mut dyn FnMut()) -> Result<Slice, Failure>,
) -> Result<Vec<Row>, Failure> {
    let mut cells: Vec<Vec<Cell>> = contenders.iter().map(|_| Vec::with_capacity(plan.rounds)).collect();
    for round in 0..plan.rounds {
        say(&format!("{what}: round {} of {}", round + 1, plan.rounds));
        for turn in 0..contenders.len() {
            let number = (round + turn) % contenders.len();
            let contender = &contenders[number];
            let cell =
                slice::measure(&contender.process, backend, |begin| load(contender, round as u64, begin))
                    .map_err(|error| format!("{}: {error}", contender.tracing.name()))?;
            cells[number].push(cell);
        }
    }
    Ok(cells.iter().map(|each| row(each, &cells[0])).collect())
}

fn row(cells: &[Cell], off: &[Cell]) -> Row {
    let of = |figure: fn(&Cell) -> f64| Spread::of(cells.iter().map(figure));
    let by_off = |figure: fn(&Cell) -> f64| {
        Spread::of(cells.iter().zip(off).map(|(cell, off)| figure(cell) / figure(off).max(f64::MIN_POSITIVE)))
    };
    Row {
        p50: of(|cell| cell.p50),
        p50_ratio: by_off(|cell| cell.p50),
        p99: of(|cell| cell.p99),
        p99_ratio: by_off(|cell| cell.p99),
        rate: of(|cell| cell.rate),
        rate_ratio: by_off(|cell| cell.rate),
        processor: of(|cell| cell.processor),
        processor_ratio: by_off(|cell| cell.processor),
        dropped: of(|cell| cell.dropped),
    }
}
