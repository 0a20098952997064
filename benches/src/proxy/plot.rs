//! The latencies and rates of a run as one picture.

use super::report::{Block, Report};
use super::rounds::{Row, Series};
use crate::rig::bars::{self, Bar};

/// The picture: what the router adds at one client, and the rates at many, for each backend and form.
pub(crate) fn svg(report: &Report) -> String {
    let mut charts = Vec::new();
    for block in &report.blocks {
        let backend = block.backend;
        for series in block.of_clients(1) {
            let form = series.form.name();
            let title = format!("Added median latency, {form}, one client, backend {backend}");
            charts.push((title, added(block, series)));
        }
        for series in block.of_clients(16) {
            let form = series.form.name();
            let title = format!("Requests per second, {form}, 16 clients, backend {backend}");
            charts.push((title, rates(block, series)));
        }
    }
    bars::svg("What the router adds, and how many requests it passes on", &charts)
}

fn added(block: &Block, series: &Series) -> Vec<Bar<'static>> {
    let rows = block.names.iter().zip(&series.rows).skip(1);
    let bar = |(name, row): (&&'static str, &Row)| {
        let text = format!("{:.0} µs", row.added_p50.median);
        Bar { name, spread: row.added_p50, text, is_reference: false }
    };
    rows.map(bar).collect()
}

fn rates(block: &Block, series: &Series) -> Vec<Bar<'static>> {
    let rows = block.names.iter().zip(&series.rows).enumerate();
    let bar = |(number, (name, row)): (usize, (&&'static str, &Row))| {
        let text = format!("{:.0}/s", row.rate.median);
        Bar { name, spread: row.rate, text, is_reference: number == 0 }
    };
    rows.map(bar).collect()
}
