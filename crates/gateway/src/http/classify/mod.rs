//! The classification API: what the router's checks say of a text, without a model behind it.
//!
//! Shapes are those that the API's clients know; see the OpenAPI document. Times are in milliseconds, positions in
//! characters, probabilities from 0 to 1. Invariant: what is measured here is measured by the ports that route requests.

mod input;
mod intent;
mod measure;

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::StatusCode;
use pipeline::Pipeline;
use pipeline::ports::Deadline;
use pipeline::signals::INLINE_LIMIT_BYTES;
use serde_json::{Map, Value, json};
use trace::Text;

use self::input::{Input, Task};
use self::measure::Failure;
use super::HttpDoor;
use super::answer::{Content, Owner, Response, answer};
use super::receive::{self, Arrival, Received};
use super::routes::{CLASSIFY_BATCH, CLASSIFY_COMBINED, CLASSIFY_INTENT, CLASSIFY_PII, CLASSIFY_SECURITY};
use crate::errors::ApiError;

type Door = State<Arc<HttpDoor>>;
type Request = http::Request<Body>;

/// Most texts of one batch.
pub(crate) const MAX_BATCH_TEXTS: usize = 100;

pub(crate) async fn intent(State(door): Door, request: Request) -> Response {
    run(door, request, CLASSIFY_INTENT, async |call| {
        let text = call.input.text()?;
        intent::classify(&call, text).await
    })
    .await
}

pub(crate) async fn pii(State(door): Door, request: Request) -> Response {
    run(door, request, CLASSIFY_PII, async |call| {
        let text = call.input.text()?;
        call.measure(Task::Pii, text).await
    })
    .await
}

pub(crate) async fn security(State(door): Door, request: Request) -> Response {
    run(door, request, CLASSIFY_SECURITY, async |call| {
        let text = call.input.text()?;
        call.measure(Task::Security, text).await
    })
    .await
}

pub(crate) async fn combined(State(door): Door, request: Request) -> Response {
    run(door, request, CLASSIFY_COMBINED, async |call| {
        let text = call.input.text()?;
        let mut results = Map::new();
        for task in call.input.tasks()? {
            let result = match task {
                Task::Intent => intent::classify(&call, Arc::clone(&text)).await?,
                Task::Pii | Task::Security => call.measure(task, Arc::clone(&text)).await?,
            };
            results.insert(task.as_str().to_owned(), result);
        }
        let block = results.values().any(measure::recommends_block);
        results.insert("overall_recommendation".to_owned(), json!(measure::recommendation(block)));
        Ok(Value::Object(results))
    })
    .await
}

pub(crate) async fn batch(State(door): Door, request: Request) -> Response {
    run(door, request, CLASSIFY_BATCH, async |call| {
        let started = Instant::now();
        let texts = call.input.texts(MAX_BATCH_TEXTS)?;
        let task = call.input.task_type()?;
        let options = call.input.options()?;
        let bytes = texts.iter().map(String::len).sum();
        let results: Vec<Value> = call
            .elsewhere(bytes, move |pipeline, deadline| {
                texts.iter().map(|text| measure::entry(pipeline, task, text, &options, deadline)).collect()
            })
            .await?;
        Ok(json!({
            "statistics": measure::statistics(task, &results),
            "total_count": results.len(),
            "processing_time_ms": measure::elapsed_ms(started),
            "results": results,
        }))
    })
    .await
}

/// One call of this API.
struct Call {
    pipeline: Arc<Pipeline>,
    input: Input,
    facts: trace::RequestFacts,
    principal: pipeline::request::Principal,
}

/// Why a call has no result.
enum Refused {
    /// What was sent.
    Input(ApiError),
    /// A check failed.
    Failed(Failure),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Refused {
        Refused::Input(error)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Failed(failure)
    }
}

impl Call {
    async fn measure(&self, task: Task, text: Arc<str>) -> Result<Value, Refused> {
        let options = self.input.options()?;
        let measured = self.elsewhere(text.len(), move |pipeline, deadline| {
            measure::entry(pipeline, task, &text, &options, deadline)
        });
        measured.await
    }

    /// Works in place on little text, on a blocking thread on much, so that no other request waits for it; for as long as the
    /// checks of a request may take, and somebody waits.
    async fn elsewhere<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Pipeline, &mut Deadline) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refused> {
        let mut deadline = Deadline::after(self.pipeline.policy.guards.time_limit);
        if bytes <= INLINE_LIMIT_BYTES {
            return Ok(work(&self.pipeline, &mut deadline)?);
        }
        let pipeline = Arc::clone(&self.pipeline);
        let _waiting = deadline.until_dropped();
        let worked = tokio::task::spawn_blocking(move || work(&pipeline, &mut deadline)).await;
        Ok(worked.unwrap_or_else(|_| Err(Failure::panicked()))?)
    }
}

/// Receives a call, and answers with what `work` makes of it.
async fn run(
    door: Arc<HttpDoor>,
    request: Request,
    route: &'static str,
    work: impl AsyncFnOnce(Call) -> Result<Value, Refused>,
) -> Response {
    let arrival = match receive::arrive(door, request, route).await {
        Ok(arrival) => arrival,
        Err(response) => return *response,
    };
    receive::guarded(arrival.names(), answered(arrival, work)).await
}

async fn answered(arrival: Arrival, work: impl AsyncFnOnce(Call) -> Result<Value, Refused>) -> Response {
    let Received { pipeline, mut record, ticket, caller, body, .. } = match arrival.receive().await {
        Ok(received) => received,
        Err(response) => return *response,
    };
    let input = match Input::read(&body) {
        Ok(input) => input,
        Err(error) => return error.answer(record, Some(ticket)),
    };
    let call = Call { pipeline, input, facts: record.request.clone(), principal: caller.principal };
    match work(call).await {
        Ok(result) => {
            let body = Bytes::from(result.to_string());
            answer(StatusCode::OK, Content::json(body), Owner::Record(record), Some(ticket))
        }
        Err(Refused::Input(error)) => error.answer(record, Some(ticket)),
        Err(Refused::Failed(Failure { kind, description })) => {
            record.fail(kind, Text::clone(&description));
            measure::failed(kind).answer(record, Some(ticket))
        }
    }
}
