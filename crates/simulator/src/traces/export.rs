//! OTLP/gRPC: a bounded queue, a task that empties it, and a count of what was lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::span::pair;
use super::{Tally, Tracer, Traces};

/// Sizes and times of OpenTelemetry's batch processor, but for the last: an engine that ends waits less long.
const QUEUE: usize = 2_048;
const BATCH: usize = 512;
const TIMEOUT: Duration = Duration::from_secs(10);
const FLUSH: Duration = Duration::from_secs(3);

const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The task that exports. Dropping it lets the task end after what is queued.
#[derive(Debug)]
pub(crate) struct Exporter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    tally: Arc<Tally>,
}

/// Starts exporting. Nothing is connected before the first span.
pub(crate) fn exporter(traces: &Traces, instance: &str) -> (Tracer, Exporter) {
    let (queue, spans) = mpsc::channel(QUEUE);
    let (stop, stopped) = oneshot::channel();
    let tally = Arc::new(Tally::default());
    let endpoint = Endpoint::from(traces.endpoint.0.clone()).connect_timeout(TIMEOUT).timeout(TIMEOUT);
    let sender = Sender {
        client: TraceServiceClient::new(endpoint.connect_lazy()),
        resource: Resource {
            attributes: vec![
                pair("service.name", Value::StringValue(traces.service.clone())),
                pair("service.instance.id", Value::StringValue(instance.into())),
            ],
            ..Resource::default()
        },
        tally: tally.clone(),
    };
    let task = tokio::spawn(sender.run(spans, stopped));
    (Tracer { queue, tally: tally.clone() }, Exporter { stop, task, tally })
}

impl Exporter {
    /// Sends what is queued, for at most three seconds; gives back how many spans were lost since the start.
    pub(crate) async fn flush(self) -> u64 {
        let _ = self.stop.send(());
        let mut task = self.task;
        if tokio::time::timeout(FLUSH, &mut task).await.is_err() {
            task.abort();
            let _ = task.await;
        }
        let delivered = self.tally.delivered.load(Ordering::Relaxed);
        self.tally.made.load(Ordering::Relaxed).saturating_sub(delivered)
    }
}

struct Sender {
    client: TraceServiceClient<Channel>,
    resource: Resource,
    tally: Arc<Tally>,
}

impl Sender {
    async fn run(mut self, mut spans: mpsc::Receiver<Span>, mut stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = spans.recv_many(&mut batch, BATCH) => if count == 0 { return },
                _ = &mut stopped, if !spans.is_closed() => {
                    spans.close();
                    continue;
                }
            }
            self.send(std::mem::take(&mut batch)).await;
        }
    }

    /// Sends one batch, again while the receiver is not there yet.
    async fn send(&mut self, spans: Vec<Span>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let request = self.request(spans);
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            match self.client.export(request.clone()).await {
                Ok(_) => {
                    self.tally.delivered.fetch_add(count, Ordering::Relaxed);
                    return;
                }
                Err(status) if status.code() == Code::Unavailable && attempt < ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(_) => return,
            }
        }
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "simulator".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            }],
        }
    }
}
