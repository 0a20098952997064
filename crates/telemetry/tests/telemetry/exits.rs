//! Destinations that are slow, panic or cannot be written to; and the lines at start and for each request.

use crate::common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use telemetry::log::{LogConfig, LogFormat, subscriber};
use telemetry::metrics::{Format, LegacyNames, Metrics, Names};
use telemetry::stdout::{Colour, Style};
use telemetry::{
    AccessLines, Batch, Delivery, Destination, Exits, Exporter, Resource, StdoutFormat, View, Wants, start,
};
use trace::{Record, RecordSink};

struct Counting(Arc<AtomicUsize>);

impl Destination for Counting {
    async fn deliver(&mut self, batch: &[Arc<Record>]) -> Delivery {
        self.0.fetch_add(batch.len(), Ordering::SeqCst);
        Delivery::Delivered
    }
}

struct Panicking;

impl Destination for Panicking {
    async fn deliver(&mut self, _: &[Arc<Record>]) -> Delivery {
        panic!("a bug of a destination")
    }
}

struct BrokenPipe;

impl std::io::Write for BrokenPipe {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&Names::default(), LegacyNames::Off))
}

fn stdout(writer: impl std::io::Write + Send + 'static) -> Exporter {
    Exporter::Stdout {
        format: StdoutFormat::Tree(Style::PLAIN),
        view: View::default(),
        batch: Batch::TERMINAL,
        writer: Box::new(writer),
    }
}

#[tokio::test]
async fn sampled_destinations_get_sampled_records_and_others_all() {
    let (sampled, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut exits = Exits::new(metrics());
    exits.add("sampled", Wants::Sampled, Batch::EXPORT, Counting(Arc::clone(&sampled))).unwrap();
    exits.add("all", Wants::All, Batch::EXPORT, Counting(Arc::clone(&all))).unwrap();
    for _ in 0..100 {
        exits.finished(Box::new(common::forwarded(true)));
        exits.finished(Box::new(common::forwarded(false)));
    }
    assert_eq!(exits.flush(Duration::from_secs(5)).await, []);
    assert_eq!((sampled.load(Ordering::SeqCst), all.load(Ordering::SeqCst)), (100, 200));
}

#[tokio::test]
async fn a_panicking_destination_hurts_nobody_else() {
    let count = Arc::new(AtomicUsize::new(0));
    let mut exits = Exits::new(metrics());
    exits.add("panicking", Wants::All, Batch::EXPORT, Panicking).unwrap();
    exits.add("counting", Wants::All, Batch::EXPORT, Counting(Arc::clone(&count))).unwrap();
    exits.finished(Box::new(common::forwarded(true)));
    let left = exits.flush(Duration::from_secs(5)).await;
    assert_eq!((left.len(), &*left[0].destination, left[0].records), (1, "panicking", 1));
    exits.finished(Box::new(common::forwarded(true)));
    exits.shutdown(Duration::from_secs(5)).await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn two_exporters_of_a_kind_have_series_of_their_own() {
    let metrics = metrics();
    let exporters = vec![stdout(std::io::sink()), stdout(BrokenPipe)];
    let exits = start(Arc::clone(&metrics), &Resource::new("r"), exporters, AccessLines::Off).unwrap();
    exits.finished(Box::new(common::forwarded(true)));
    exits.flush(Duration::from_secs(5)).await;
    let page = metrics.render(Format::Text);
    assert!(page.contains("traces_exported_total{exporter=\"stdout\"} 1\n"), "{page}");
    assert!(page.contains("traces_export_failed_total{exporter=\"stdout-2\"} 1\n"), "{page}");
}

#[tokio::test]
async fn a_closed_stdout_is_counted() {
    let metrics = metrics();
    let exits =
        start(Arc::clone(&metrics), &Resource::new("r"), vec![stdout(BrokenPipe)], AccessLines::Off).unwrap();
    exits.finished(Box::new(common::forwarded(true)));
    assert_eq!(exits.flush(Duration::from_secs(5)).await, []);
    let page = metrics.render(Format::Text);
    assert!(page.contains("traces_export_failed_total{exporter=\"stdout\"} 1\n"), "{page}");
}

#[tokio::test]
async fn the_start_is_logged_and_the_tree_is_written() {
    let log = common::Captured::default();
    let writer = log.clone();
    let config =
        LogConfig { format: LogFormat::Json, filter: "info".into(), service_name: "my-router".into() };
    let subscriber = subscriber(&config, move || writer.clone(), Colour::Never).unwrap();
    let _guard = tracing::subscriber::set_default(subscriber);
    let out = common::Captured::default();
    let exits =
        start(metrics(), &Resource::new("my-router"), vec![stdout(out.clone())], AccessLines::Off).unwrap();
    exits.finished(Box::new(common::forwarded(true)));
    assert_eq!(exits.shutdown(Duration::from_secs(5)).await, []);
    assert!(out.text().contains("├─ semantic_router.classification [45ms]"), "{}", out.text());
    let line: serde_json::Value = serde_json::from_str(log.text().lines().next().unwrap()).unwrap();
    assert_eq!(
        line["message"],
        "Distributed tracing initialized (provider: opentelemetry, exporter: stdout)"
    );
    assert_eq!(line["service.name"], "my-router");
}

#[tokio::test]
async fn an_access_line_names_the_trace() {
    for format in [LogFormat::Json, LogFormat::Text] {
        let log = common::Captured::default();
        let writer = log.clone();
        let config = LogConfig { format, filter: "info".into(), service_name: "r".into() };
        let subscriber = subscriber(&config, move || writer.clone(), Colour::Never).unwrap();
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut probe = common::forwarded(true);
        probe.request.route = "/health";
        let records = [Arc::new(common::forwarded(false)), Arc::new(probe)];
        telemetry::log::AccessLog.deliver(&records).await;
        let text = log.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        if format == LogFormat::Text {
            assert!(text.contains(" INFO request trace_id=0af7651916cd43dd8448eb211c80319c"), "{text}");
            assert!(text.contains(" status=200 model=llama-3.1-70b decision=reasoning"), "{text}");
            continue;
        }
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(line["span_id"], "00000000000000ff");
        assert_eq!(line["status"], 200);
        assert_eq!(line["duration_ms"], 834.0);
        assert_eq!(line["router_ms"], 73.0);
    }
}
