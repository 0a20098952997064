//! The matrix as tables for people, as JSON, and as a picture.

use std::fmt::Write;

use serde_json::{Value, json};

use super::rounds::{Plan, Row};
use crate::rig::bars::{self, Bar};
use crate::rig::statistics::Spread;

/// Everything that a run gave; rows in the order of the names.
#[derive(Debug)]
pub(crate) struct Report {
    /// How much was measured.
    pub(crate) plan: Plan,
    /// Names of the contenders; the first does not trace.
    pub(crate) names: Vec<String>,
    /// At half of saturation.
    pub(crate) half: Vec<Row>,
    /// At saturation.
    pub(crate) full: Vec<Row>,
    /// Resident memory after all load, in kB.
    pub(crate) memory: Vec<u64>,
}

impl Report {
    /// Tables.
    pub(crate) fn markdown(&self) -> String {
        let Plan { slice, rounds, rate, clients } = self.plan;
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{rounds} rounds of {} s for each row and load, in turns; every check, JSON, {clients} connections. Median over the rounds; \"by off\" is the quotient within a round, with the least and the most.",
            slice.as_secs_f64()
        );
        let _ = writeln!(text, "\n**At half of saturation: {rate:.0} requests/s at random moments**\n");
        let _ = writeln!(
            text,
            "| | p50 µs | by off | p99 µs | by off | CPU µs/request | by off | traces dropped |\n|---|--:|--:|--:|--:|--:|--:|--:|"
        );
        for (name, row) in self.names.iter().zip(&self.half) {
            let _ = writeln!(
                text,
                "| {name} | {:.0} | {} | {:.0} | {} | {:.1} | {} | {:.1} % |",
                row.p50.median,
                row.p50_ratio.text(2),
                row.p99.median,
                row.p99_ratio.text(2),
                row.processor.median,
                row.processor_ratio.text(2),
                row.dropped.median * 100.0
            );
        }
        let _ = writeln!(text, "\n**At saturation: {clients} clients, each as fast as it gets answers**\n");
        let _ = writeln!(
            text,
            "| | requests/s | by off | p99 µs | by off | CPU µs/request | by off | traces dropped | memory MB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        for ((name, row), memory) in self.names.iter().zip(&self.full).zip(&self.memory) {
            let _ = writeln!(
                text,
                "| {name} | {:.0} | {} | {:.0} | {} | {:.1} | {} | {:.1} % | {:.1} |",
                row.rate.median,
                row.rate_ratio.text(2),
                row.p99.median,
                row.p99_ratio.text(2),
                row.processor.median,
                row.processor_ratio.text(2),
                row.dropped.median * 100.0,
                *memory as f64 / 1024.0
            );
        }
        text
    }

    /// The same figures as an object.
    pub(crate) fn json(&self) -> Value {
        let rows = |rows: &[Row]| -> Vec<Value> { rows.iter().map(row).collect() };
        json!({
            "rounds": self.plan.rounds,
            "slice_seconds": self.plan.slice.as_secs_f64(),
            "connections": self.plan.clients,
            "requests_per_second_at_half": self.plan.rate,
            "names": self.names,
            "half": rows(&self.half),
            "saturation": rows(&self.full),
            "memory_kb": self.memory,
        })
    }

    /// The ratios as bars.
    pub(crate) fn svg(&self) -> String {
        let charts = [
            self.chart("Median latency at half of saturation", &self.half, |row| row.p50_ratio),
            self.chart("p99 latency at half of saturation", &self.half, |row| row.p99_ratio),
            self.chart("CPU per request at half of saturation", &self.half, |row| row.processor_ratio),
            self.chart("Requests per second at saturation", &self.full, |row| row.rate_ratio),
        ];
        bars::svg("What tracing costs, by the router without tracing", &charts)
    }

    fn chart(&self, title: &str, rows: &[Row], figure: fn(&Row) -> Spread) -> (String, Vec<Bar<'_>>) {
        let bar = |number: usize| {
            let spread = figure(&rows[number]);
            let text = format!("{:.2}", spread.median);
            Bar { name: &self.names[number], spread, text, is_reference: number == 1 }
        };
        // The first is 1 by definition.
        (format!("{title}, by that of off"), (1..rows.len()).map(bar).collect())
    }
}

fn row(row: &Row) -> Value {
    json!({
        "p50_us": row.p50.json(),
        "p50_by_off": row.p50_ratio.json(),
        "p99_us": row.p99.json(),
        "p99_by_off": row.p99_ratio.json(),
        "requests_per_second": row.rate.json(),
        "requests_per_second_by_off": row.rate_ratio.json(),
        "processor_us_per_request": row.processor.json(),
        "processor_by_off": row.processor_ratio.json(),
        "dropped_traces_by_requests": row.dropped.json(),
    })
}
