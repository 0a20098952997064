//! The results as tables for people and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::rounds::{Plan, Series};
use super::stages::StageTime;

/// Everything that a run gave.
#[derive(Debug)]
pub(crate) struct Report {
    /// How much was measured.
    pub(crate) plan: Plan,
    /// One block per backend.
    pub(crate) blocks: Vec<Block>,
    /// The router's own spans.
    pub(crate) stages: Vec<StageTime>,
}

/// All contenders in front of one backend, the backend itself first.
#[derive(Debug)]
pub(crate) struct Block {
    /// The backend.
    pub(crate) backend: &'static str,
    /// Names of the contenders.
    pub(crate) names: Vec<&'static str>,
    /// One per load.
    pub(crate) series: Vec<Series>,
    /// Resident memory before any request, in kB.
    pub(crate) at_rest: Vec<u64>,
    /// Resident memory after all of them, in kB.
    pub(crate) after_load: Vec<u64>,
}

impl Report {
    /// Tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let rounds = self.plan.rounds;
        let slice = self.plan.slice.as_secs_f64();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{rounds} rounds of {slice} s for each contender and load, in turns. Median over the rounds, with the least and the most."
        );
        for block in &self.blocks {
            for series in &block.series {
                let table = if series.clients == 1 { latency } else { throughput };
                table(&mut text, block, series);
            }
            memory(&mut text, block);
        }
        stages(&mut text, &self.stages);
        text
    }

    /// The same figures as an object.
    pub(crate) fn json(&self) -> Value {
        let stage = |stage: &StageTime| json!({"name": stage.name, "count": stage.count, "p50_us": stage.p50, "p99_us": stage.p99});
        json!({
            "rounds": self.plan.rounds,
            "slice_seconds": self.plan.slice.as_secs_f64(),
            "backends": self.blocks.iter().map(Block::json).collect::<Vec<_>>(),
            "stages": self.stages.iter().map(stage).collect::<Vec<_>>(),
        })
    }
}

impl Block {
    /// The series of a load.
    pub(crate) fn of_clients(&self, clients: usize) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| series.clients == clients)
    }

    fn json(&self) -> Value {
        let series = |series: &Series| {
            let rows = self.names.iter().zip(&series.rows).map(|(name, row)| {
                json!({
                    "name": name,
                    "p50_us": row.p50.json(),
                    "p99_us": row.p99.json(),
                    "added_p50_us": row.added_p50.json(),
                    "added_p99_us": row.added_p99.json(),
                    "requests_per_second": row.rate.json(),
                    "rate_of_direct": row.rate_ratio.json(),
                    "processor_us_per_request": row.processor.json(),
                    "backend_processor_us_per_request": row.backend_processor.json(),
                    "dropped_traces_by_requests": row.dropped.json(),
                })
            });
            json!({"form": series.form.name(), "clients": series.clients, "rows": rows.collect::<Vec<_>>()})
        };
        json!({
            "backend": self.backend,
            "series": self.series.iter().map(series).collect::<Vec<_>>(),
            "memory_at_rest_kb": self.at_rest,
            "memory_after_load_kb": self.after_load,
        })
    }
}

fn latency(text: &mut String, block: &Block, series: &Series) {
    let _ = writeln!(text, "\n{}, one client, backend {}, µs\n", series.form.name(), block.backend);
    let _ = writeln!(text, "| | p50 | added p50 | p99 | added p99 |\n|---|--:|--:|--:|--:|");
    for (number, (name, row)) in block.names.iter().zip(&series.rows).enumerate() {
        let added = |spread: crate::rig::statistics::Spread| match number {
            0 => "—".to_owned(),
            _ => spread.text(0),
        };
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {} | {:.0} | {} |",
            row.p50.median,
            added(row.added_p50),
            row.p99.median,
            added(row.added_p99)
        );
    }
}

fn throughput(text: &mut String, block: &Block, series: &Series) {
    let _ =
        writeln!(text, "\n{}, {} clients, backend {}\n", series.form.name(), series.clients, block.backend);
    let _ = writeln!(
        text,
        "| | requests/s | by direct | p50 ms | p99 ms | CPU µs/request | backend's CPU µs/request | traces dropped |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for (name, row) in block.names.iter().zip(&series.rows) {
        let _ = writeln!(
            text,
            "| {name} | {} | {:.2} | {:.2} | {:.2} | {} | {:.1} | {:.0} % |",
            row.rate.text(0),
            row.rate_ratio.median,
            row.p50.median / 1e3,
            row.p99.median / 1e3,
            row.processor.text(1),
            row.backend_processor.median,
            row.dropped.median * 100.0
        );
    }
}

fn memory(text: &mut String, block: &Block) {
    let _ = writeln!(text, "\nResident memory, backend {}, MB\n", block.backend);
    let _ = writeln!(text, "| | at rest | after load |\n|---|--:|--:|");
    for (name, (rest, load)) in block.names.iter().zip(block.at_rest.iter().zip(&block.after_load)) {
        let _ = writeln!(text, "| {name} | {:.1} | {:.1} |", megabytes(*rest), megabytes(*load));
    }
}

fn stages(text: &mut String, stages: &[StageTime]) {
    let _ = writeln!(text, "\nThe router's own spans, JSON, one client, every check, µs\n");
    let _ = writeln!(text, "| | count | p50 | p99 |\n|---|--:|--:|--:|");
    for stage in stages {
        let _ = writeln!(text, "| {} | {} | {:.1} | {:.1} |", stage.name, stage.count, stage.p50, stage.p99);
    }
}

fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}
