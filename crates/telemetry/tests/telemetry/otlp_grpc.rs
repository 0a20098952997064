//! The gRPC exporter against a collector in this process that answers by script.

use crate::common;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use telemetry::log::{LogConfig, LogFormat, subscriber};
use telemetry::metrics::{Format, LegacyNames, Metrics, Names};
use telemetry::otlp::{Config, Endpoint, Otlp, Retry};
use telemetry::stdout::Colour;
use telemetry::{Batch, Delivery, Destination, Exits, Resource, Wants};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use trace::{Record, RecordSink};

pub(crate) enum Answer {
    Take,
    Reject { spans: i64, because: &'static str },
    Fail(Status),
    Hang,
}

struct Collector {
    script: Mutex<VecDeque<Answer>>,
    received: mpsc::UnboundedSender<(usize, Option<String>)>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("api-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
        let spans = request.get_ref().resource_spans[0].scope_spans[0].spans.len();
        self.received.send((spans, key)).unwrap();
        let answer = self.script.lock().unwrap().pop_front().unwrap_or(Answer::Take);
        match answer {
            Answer::Take => Ok(Response::new(ExportTraceServiceResponse::default())),
            Answer::Fail(status) => Err(status),
            Answer::Hang => std::future::pending().await,
            Answer::Reject { spans, because } => {
                let partial =
                    ExportTracePartialSuccess { rejected_spans: spans, error_message: because.to_owned() };
                Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
            }
        }
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    received: mpsc::UnboundedReceiver<(usize, Option<String>)>,
    _stop: tokio_util::sync::DropGuard,
}

async fn collector(script: impl IntoIterator<Item = Answer>) -> Running {
    collector_on(tonic::transport::Server::builder(), script).await
}

/// A collector on a server that may want TLS.
pub(crate) async fn collector_on(
    server: tonic::transport::Server,
    script: impl IntoIterator<Item = Answer>,
) -> Running {
    collector_at(TcpListener::bind("127.0.0.1:0").await.unwrap(), server, script)
}

fn collector_at(
    listener: TcpListener,
    mut server: tonic::transport::Server,
    script: impl IntoIterator<Item = Answer>,
) -> Running {
    let address = listener.local_addr().unwrap();
    let (sender, received) = mpsc::unbounded_channel();
    let service = Collector { script: Mutex::new(script.into_iter().collect()), received: sender };
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        server.add_service(TraceServiceServer::new(service)).serve_with_incoming_shutdown(incoming, stopped),
    );
    Running { address, received, _stop: stop.drop_guard() }
}

fn config(address: SocketAddr) -> Config {
    let retry = Retry { attempts: 3, initial: Duration::from_millis(1), longest: Duration::from_millis(5) };
    let endpoint = Endpoint::parse(&address.to_string(), Some(true), 4317).unwrap();
    Config { retry, ..Config::new(endpoint) }
}

fn exporter(config: Config) -> Otlp {
    Otlp::new(&config, Resource::new("router")).unwrap()
}

pub(crate) fn batch() -> Vec<Arc<Record>> {
    vec![Arc::new(common::forwarded(true)), Arc::new(common::failed())]
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&Names::default(), LegacyNames::Off))
}

pub(crate) fn logged() -> (common::Captured, tracing::subscriber::DefaultGuard) {
    let captured = common::Captured::default();
    let writer = captured.clone();
    let config =
        LogConfig { format: LogFormat::Text, filter: "telemetry=info".into(), service_name: "r".into() };
    let subscriber = subscriber(&config, move || writer.clone(), Colour::Never).unwrap();
    (captured, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_batch_arrives_whole_with_its_headers() {
    let mut collector = collector([]).await;
    let mut config = config(collector.address);
    config.headers.push(("Api-Key".to_owned(), "hush".to_owned()));
    let mut exporter = exporter(config);
    assert_eq!(exporter.deliver(&batch()).await, Delivery::Delivered);
    assert_eq!(collector.received.recv().await, Some((14, Some("hush".to_owned()))));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let unavailable = || Answer::Fail(Status::unavailable("restarting"));
    let mut server = collector([unavailable(), unavailable()]).await;
    assert_eq!(exporter(config(server.address)).deliver(&batch()).await, Delivery::Delivered);
    for _ in 0..3 {
        assert!(server.received.recv().await.is_some());
    }
    let mut server = collector([Answer::Fail(Status::invalid_argument("what is this"))]).await;
    assert_eq!(exporter(config(server.address)).deliver(&batch()).await, Delivery::Failed);
    assert!(server.received.try_recv().is_ok());
    assert!(server.received.try_recv().is_err(), "a permanent failure was tried again");
}

/// As when a collector is killed with an export on its way, and comes back.
#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut exporter = exporter(config(listener.local_addr().unwrap()));
    let restart = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
        drop(connection);
        collector_at(listener, tonic::transport::Server::builder(), [])
    };
    let batch = batch();
    let (delivery, mut collector) = tokio::join!(exporter.deliver(&batch), restart);
    assert_eq!(delivery, Delivery::Delivered);
    assert_eq!(collector.received.recv().await, Some((14, None)));
}

#[tokio::test]
async fn attempts_are_bounded_and_logged_once() {
    let (log, _guard) = logged();
    let always = (0..9).map(|_| Answer::Fail(Status::unavailable("sk-abcdefgh12345678 says no")));
    let mut collector = collector(always).await;
    let mut exporter = exporter(config(collector.address));
    for _ in 0..3 {
        assert_eq!(exporter.deliver(&batch()).await, Delivery::Failed);
    }
    for _ in 0..9 {
        assert!(collector.received.try_recv().is_ok());
    }
    let text = log.text();
    assert_eq!(text.matches("Failed to export spans: ").count(), 1, "{text}");
    assert!(!text.contains("sk-abcdefgh"), "{text}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_named_plainly() {
    let (log, _guard) = logged();
    // Bound but not listening: refused for certain, since nobody else can take the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    assert_eq!(exporter(config(address)).deliver(&batch()).await, Delivery::Failed);
    assert!(log.text().contains("Failed to export spans: connection refused"), "{}", log.text());
}

#[tokio::test]
async fn rejected_spans_are_counted_and_logged() {
    let (log, _guard) = logged();
    let collector = collector([Answer::Reject { spans: 2, because: "too old" }]).await;
    let delivery = exporter(config(collector.address)).deliver(&batch()).await;
    assert_eq!(delivery, Delivery::Partial { rejected_spans: 2 });
    assert!(log.text().contains("the collector rejected 2 spans: too old"), "{}", log.text());
}

#[tokio::test]
async fn a_collector_that_hangs_costs_records_beyond_the_queue_and_nothing_else() {
    let mut collector = collector((0..99).map(|_| Answer::Hang)).await;
    let metrics = metrics();
    let mut exits = Exits::new(Arc::clone(&metrics));
    let mut config = config(collector.address);
    config.timeout = Duration::from_secs(600);
    let queue = Batch { queue_records: 4, size_spans: 1, interval: Duration::ZERO };
    exits.add("otlp", Wants::Sampled, queue, exporter(config)).unwrap();
    exits.finished(Box::new(common::forwarded(true)));
    // The first is on its way and stays there; the next four wait, the rest is dropped.
    collector.received.recv().await.unwrap();
    for _ in 0..10 {
        exits.finished(Box::new(common::forwarded(true)));
    }
    exits.finished(Box::new(common::forwarded(false)));
    let page = metrics.render(Format::Text);
    assert!(page.contains("traces_export_dropped_total{exporter=\"otlp\"} 6\n"), "{page}");
    assert!(page.contains("traces_export_queue_length{exporter=\"otlp\"} 4\n"), "{page}");
    assert!(page.contains("traces_received_total{source=\"router\"} 12\n"), "{page}");
    let left = exits.shutdown(Duration::from_millis(50)).await;
    assert_eq!((&*left[0].destination, left[0].records), ("otlp", 5));
}

#[tokio::test]
async fn an_attempt_that_hangs_is_given_up_and_the_next_succeeds() {
    let mut collector = collector([Answer::Hang]).await;
    let config = Config { timeout: Duration::from_millis(200), ..config(collector.address) };
    assert_eq!(exporter(config).deliver(&batch()).await, Delivery::Delivered);
    assert!(collector.received.recv().await.is_some());
    assert!(collector.received.recv().await.is_some());
}

#[tokio::test]
async fn shutdown_delivers_what_waits() {
    let mut collector = collector([]).await;
    let metrics = metrics();
    let mut exits = Exits::new(Arc::clone(&metrics));
    let slow = Batch { interval: Duration::from_secs(3600), ..Batch::EXPORT };
    exits.add("otlp", Wants::Sampled, slow, exporter(config(collector.address))).unwrap();
    for _ in 0..3 {
        exits.finished(Box::new(common::forwarded(true)));
    }
    assert_eq!(exits.shutdown(Duration::from_secs(5)).await, []);
    assert_eq!(collector.received.recv().await.map(|(spans, _)| spans), Some(33));
    let page = metrics.render(Format::Text);
    assert!(page.contains("traces_exported_total{exporter=\"otlp\"} 3\n"), "{page}");
    exits.finished(Box::new(common::forwarded(true)));
    let page = metrics.render(Format::Text);
    assert!(page.contains("traces_export_dropped_total{exporter=\"otlp\"} 1\n"), "{page}");
}
