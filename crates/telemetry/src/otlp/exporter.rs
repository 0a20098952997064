//! The destination that converts batches and sends them to a collector, over either transport.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use trace::{Record, Text};

use super::failures::Failures;
use super::grpc::Grpc;
use super::http::Http;
use super::retry::{Retry, Verdict};
use super::{Config, ConfigError, Protocol, encode};
use crate::{Delivery, Destination, Resource, View};

/// Sends records to a collector.
pub struct Otlp {
    resource: Resource,
    view: View,
    retry: Retry,
    way: Way,
    failures: Failures,
}

enum Way {
    Grpc(Box<Grpc>),
    Http(Box<Http>),
}

/// Why an attempt failed.
pub(super) struct Failure {
    pub(super) what: Text,
    pub(super) verdict: Verdict,
}

impl Failure {
    pub(super) fn timeout(after: Duration) -> Failure {
        let what = Text::trusted(format!("no answer within {} ms", after.as_millis()));
        Failure { what, verdict: Verdict::Transient { asked: None } }
    }
}

impl Otlp {
    /// Checks the configuration; connects only when there is something to send.
    pub fn new(config: &Config, resource: Resource) -> Result<Otlp, ConfigError> {
        let way = match config.protocol {
            Protocol::Grpc => Way::Grpc(Box::new(Grpc::new(config)?)),
            Protocol::HttpProtobuf => Way::Http(Box::new(Http::new(config)?)),
        };
        Ok(Otlp { resource, view: config.view, retry: config.retry, way, failures: Failures::default() })
    }
}

impl Destination for Otlp {
    async fn deliver(&mut self, batch: &[Arc<Record>]) -> Delivery {
        let message = encode::export_request(batch, &self.resource, self.view);
        let mut attempt = 1;
        loop {
            let answer = match &mut self.way {
                Way::Grpc(grpc) => grpc.send(message.clone()).await,
                Way::Http(http) => http.send(message.clone()).await,
            };
            let failure = match answer {
                Ok(answer) => return self.failures.accepted(answer),
                Err(failure) => failure,
            };
            self.failures.note(&failure.what);
            let pause = match failure.verdict {
                Verdict::Transient { asked } => self.retry.pause_after(attempt, asked),
                Verdict::Permanent => None,
            };
            let Some(pause) = pause else { return Delivery::Failed };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

/// The deepest cause of an error, which names the trouble (`connection refused`) where the outer ones only say
/// that there is some.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => cause.to_string(),
    }
}
