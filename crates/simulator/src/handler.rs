//! From a request to its plan, and from the plan to the response.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};

use crate::api::{self, ApiError, Embedding, EmbeddingUsage, List, Model};
use crate::body::{Planned, ReplyBody};
use crate::compose::{self, Composition};
use crate::embedding;
use crate::fast::Fast;
use crate::format::{self, Meta, Pace};
use crate::journal::{Journal, Outcome, SeenRequest, Visit};
use crate::plan::{Plan, Start};
use crate::request::{ChatRequest, CompletionRequest, EmbeddingRequest, Encoding, Sampling, texts};
use crate::rule::{self, Target};
use crate::script::Script;
use crate::text;
use crate::traces::{Generation, SamplingParameters, Tracer};
use crate::wire::Line;

/// The header that names the backend.
pub(crate) const NAME_HEADER: HeaderName = HeaderName::from_static("x-simulator");

const BODY_LIMIT_BYTES: usize = 64 << 20;
const MAX_CHOICES: u32 = 16;
const MAX_INPUTS: usize = 2_048;
const MAX_DIMENSIONS: usize = 8_192;
const MAX_MODEL_LEN: u32 = 131_072;

/// What all connections of one simulator share.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) script: Script,
    pub(crate) name: HeaderValue,
    pub(crate) journal: Arc<Journal>,
    pub(crate) fast: Option<Fast>,
    posts: AtomicU64,
    tracer: Option<Tracer>,
}

impl Backend {
    pub(crate) fn new(script: Script, name: HeaderValue, tracer: Option<Tracer>) -> Self {
        let fast = script.fast.then(|| Fast::new(&script, &name));
        Self { script, name, journal: Journal::new(), fast, posts: AtomicU64::new(0), tracer }
    }

    /// Answers one request. Ends early, by never ending, when the script resets the connection.
    pub(crate) async fn answer(&self, request: Request<Incoming>, line: &Arc<Line>) -> Response<ReplyBody> {
        if let Some(fast) = &self.fast {
            return fast.answer(request).await;
        }
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let number = (parts.method == Method::POST).then(|| self.posts.fetch_add(1, Ordering::Relaxed) + 1);
        let (body, read) = read(body).await;
        let mut visit = self.journal.enter(seen(&parts, body.clone(), started));
        let planned = match read {
            Ok(()) => self.plan(&parts, &body, number.unwrap_or_default()),
            Err(error) => Err(error),
        };
        let plan = self.struck(
            planned.unwrap_or_else(refusal),
            &Target { number, headers: &parts.headers, body: &body },
            &visit,
        );
        match plan.start {
            Start::After(Duration::ZERO) => {}
            Start::After(delay) => sleep_until(started + delay).await,
            Start::Never => std::future::pending::<()>().await,
            Start::Reset => {
                visit.broken_off();
                line.sever();
                std::future::pending::<()>().await;
            }
        }
        let span = self.tracer.as_ref().filter(|_| plan.generation.is_some());
        let span = span.and_then(|tracer| tracer.begin(&parts.headers, started));
        self.response(plan, |plan| {
            ReplyBody::Planned(Box::new(Planned::new(plan, visit, span, line.clone(), started)))
        })
    }

    /// The plan after the fault that strikes this request, if one does.
    fn struck(&self, plan: Plan, target: &Target<'_>, visit: &Visit) -> Plan {
        match rule::choose(&self.script.faults, target, &self.script.name, self.script.seed) {
            Ok(None) => plan,
            Ok(Some(fault)) => {
                visit.struck_by(fault.name());
                plan.struck_by(&fault)
            }
            Err(error) => refusal(ApiError::invalid(None, format!("{}: {error}", rule::FAULT_HEADER))),
        }
    }

    fn response(&self, plan: Plan, body: impl FnOnce(Plan) -> ReplyBody) -> Response<ReplyBody> {
        let (status, content_type) = (plan.status, plan.content_type);
        let (length, retry_after) = (plan.content_length, plan.retry_after);
        let mut response = Response::new(body(plan));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(NAME_HEADER, self.name.clone());
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    fn plan(&self, parts: &Parts, body: &[u8], number: u64) -> Result<Plan, ApiError> {
        match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/v1/chat/completions") => self.chat(body, number),
            (&Method::POST, "/v1/completions") => self.completion(body, number),
            (&Method::POST, "/v1/embeddings") => self.embeddings(body, number),
            (&Method::GET, "/v1/models") => Ok(Plan::whole(
                StatusCode::OK,
                model_list(&self.script.models, created(&self.script)),
                Duration::ZERO,
            )),
            (&Method::GET, "/health") => {
                Ok(Plan::whole(StatusCode::OK, b"{\"status\":\"ok\"}".to_vec(), Duration::ZERO))
            }
            (_, "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings" | "/v1/models" | "/health") => {
                Err(ApiError {
                    status: StatusCode::METHOD_NOT_ALLOWED,
                    message: format!("{} is not allowed here.", parts.method),
                    param: None,
                    code: "method_not_allowed",
                })
            }
            (method, path) => Err(ApiError {
                status: StatusCode::NOT_FOUND,
                message: format!("No such URL: {method} {path}."),
                param: None,
                code: "not_found",
            }),
        }
    }

    fn chat(&self, body: &[u8], number: u64) -> Result<Plan, ApiError> {
        let request: ChatRequest = parsed(body)?;
        let model = self.model(request.model.as_deref())?;
        if request.messages.is_empty() {
            return Err(ApiError::invalid(Some("messages"), "`messages` is empty."));
        }
        let choices = choices(&request.sampling)?;
        let made = compose::chat(&self.script, &request, model);
        let meta = Meta { id: self.id("chatcmpl-", number), created: created(&self.script), model };
        let pace = self.pace();
        let generation = generation(&meta, &made, &pace, &request.sampling, request.max_tokens());
        if request.sampling.streams() {
            let usage = request.sampling.includes_usage().then_some(&made.usage);
            let chunks = format::chat_stream(&meta, &made, choices, &pace, usage);
            return Ok(Plan::stream(chunks, pace.interval).generated(generation));
        }
        let answer = format::chat(&meta, &made, choices);
        Ok(Plan::whole(StatusCode::OK, answer, pace.due(made.length())).generated(generation))
    }

    fn completion(&self, body: &[u8], number: u64) -> Result<Plan, ApiError> {
        let request: CompletionRequest = parsed(body)?;
        let model = self.model(request.model.as_deref())?;
        let prompts = texts(&request.prompt).filter(|prompts| prompts.len() <= MAX_INPUTS);
        let Some(prompt) = prompts.and_then(|prompts| prompts.into_iter().next()) else {
            return Err(ApiError::invalid(
                Some("prompt"),
                "`prompt` is no text, no tokens, and no list of them.",
            ));
        };
        let choices = choices(&request.sampling)?;
        let made = compose::completion(&self.script, &prompt, &request.sampling, model);
        let meta = Meta { id: self.id("cmpl-", number), created: created(&self.script), model };
        let pace = self.pace();
        let generation = generation(&meta, &made, &pace, &request.sampling, request.sampling.max_tokens);
        if request.sampling.streams() {
            let usage = request.sampling.includes_usage().then_some(&made.usage);
            let chunks = format::text_stream(&meta, &made, choices, &pace, usage);
            return Ok(Plan::stream(chunks, pace.interval).generated(generation));
        }
        let answer = format::text(&meta, &made, choices);
        Ok(Plan::whole(StatusCode::OK, answer, pace.due(made.length())).generated(generation))
    }

    fn embeddings(&self, body: &[u8], number: u64) -> Result<Plan, ApiError> {
        let request: EmbeddingRequest = parsed(body)?;
        let model = self.model(request.model.as_deref())?;
        let Some(inputs) = texts(&request.input).filter(|inputs| inputs.len() <= MAX_INPUTS) else {
            return Err(ApiError::invalid(
                Some("input"),
                "`input` is no text, no tokens, and no list of them.",
            ));
        };
        let dimensions = request.dimensions.unwrap_or(self.script.embedding_dimensions);
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(ApiError::invalid(
                Some("dimensions"),
                format!("`dimensions` is not in 1..={MAX_DIMENSIONS}."),
            ));
        }
        let encoding = request.encoding_format.unwrap_or_default();
        let list = embedding_list(&inputs, model, dimensions, encoding, self.script.seed);
        let took = Duration::from_millis(self.script.first_token_ms);
        let generation = Generation {
            id: self.id("embd-", number),
            model: model.into(),
            prompt_tokens: tokens(&inputs),
            completion_tokens: 0,
            queued: Duration::ZERO,
            prefill: took,
            decode: Duration::ZERO,
            sampling: None,
        };
        Ok(Plan::whole(StatusCode::OK, list, took).generated(generation))
    }

    /// The model that answers: the named one, or the first when none is named.
    fn model<'a>(&'a self, named: Option<&'a str>) -> Result<&'a str, ApiError> {
        let models = &self.script.models;
        match named {
            None => Ok(models.first().map_or("simulated-model", String::as_str)),
            Some(name) if self.script.any_model || models.iter().any(|model| model == name) => Ok(name),
            Some(name) => Err(ApiError {
                status: StatusCode::NOT_FOUND,
                message: format!("The model `{name}` does not exist."),
                param: Some("model"),
                code: "model_not_found",
            }),
        }
    }

    fn id(&self, prefix: &str, number: u64) -> String {
        let mixed = self.script.seed.rotate_left(32) ^ number ^ embedding::fnv1a(self.script.name.as_bytes());
        format!("{prefix}{:032x}", fastrand::Rng::with_seed(mixed).u128(..))
    }

    fn pace(&self) -> Pace {
        let rate = self.script.tokens_per_second;
        let interval = if rate > 0.0 { Duration::try_from_secs_f64(1.0 / rate).ok() } else { None };
        Pace {
            first: Duration::from_millis(self.script.first_token_ms),
            interval: interval.unwrap_or_default(),
        }
    }
}

/// The time that an answer claims to be from: the script's, or the clock's.
pub(crate) fn created(script: &Script) -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    script.created.unwrap_or_else(now)
}

/// The answer of `GET /v1/models`.
pub(crate) fn model_list(models: &[String], created: u64) -> Vec<u8> {
    let model = |id| Model {
        id,
        object: "model",
        created,
        owned_by: "simulator",
        root: id,
        max_model_len: MAX_MODEL_LEN,
    };
    let data = models.iter().map(|id| model(id.as_str())).collect();
    api::json(&List { object: "list", data, model: None, usage: None })
}

/// The answer of `POST /v1/embeddings`.
pub(crate) fn embedding_list(
    inputs: &[String],
    model: &str,
    dimensions: usize,
    encoding: Encoding,
    seed: u64,
) -> Vec<u8> {
    let tokens = tokens(inputs);
    let embedding = |(index, input): (usize, &String)| Embedding {
        object: "embedding",
        index,
        embedding: embedding::encoded(embedding::vector(input, dimensions, seed), encoding),
    };
    let data = inputs.iter().enumerate().map(embedding).collect();
    let usage = Some(EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens });
    api::json(&List { object: "list", data, model: Some(model), usage })
}

fn tokens(inputs: &[String]) -> u32 {
    inputs.iter().map(|input| text::count(input)).fold(0, u32::saturating_add)
}

/// What the engine does for an answer: all choices at once, with vLLM's defaults for what the request leaves open.
fn generation(
    meta: &Meta<'_>,
    made: &Composition,
    pace: &Pace,
    asked: &Sampling,
    max_tokens: Option<u32>,
) -> Generation {
    let prompt_tokens = made.usage.prompt_tokens;
    Generation {
        id: meta.id.clone(),
        model: meta.model.into(),
        prompt_tokens,
        completion_tokens: made.usage.completion_tokens,
        queued: Duration::ZERO,
        prefill: pace.first,
        decode: pace.due(made.length()).saturating_sub(pace.first),
        sampling: Some(SamplingParameters {
            n: asked.n.unwrap_or(1),
            max_tokens: max_tokens.unwrap_or(MAX_MODEL_LEN.saturating_sub(prompt_tokens)),
            temperature: asked.temperature.unwrap_or(1.0),
            top_p: asked.top_p.unwrap_or(1.0),
        }),
    }
}

fn seen(parts: &Parts, body: Bytes, at: Instant) -> SeenRequest {
    SeenRequest {
        method: parts.method.clone(),
        path: parts.uri.path_and_query().map_or_else(|| parts.uri.path().into(), |path| path.as_str().into()),
        headers: parts.headers.clone(),
        body,
        at: at.into_std(),
        fault: None,
        outcome: Outcome::InProgress,
    }
}

fn refusal(error: ApiError) -> Plan {
    Plan::whole(error.status, error.body(), Duration::ZERO)
}

fn choices(sampling: &Sampling) -> Result<u32, ApiError> {
    match sampling.n.unwrap_or(1) {
        n @ 1..=MAX_CHOICES => Ok(n),
        _ => Err(ApiError::invalid(Some("n"), format!("`n` is not in 1..={MAX_CHOICES}."))),
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() { "invalid_request" } else { "invalid_json" };
        ApiError { code, ..ApiError::invalid(None, format!("The body cannot be read: {error}.")) }
    })
}

/// Reads a body up to the limit; on failure also what had come.
async fn read(mut body: Incoming) -> (Bytes, Result<(), ApiError>) {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (whole.freeze(), Err(ApiError::invalid(None, "The body ended early.")));
        };
        let Some(data) = frame.data_ref() else { continue };
        if whole.len() + data.len() > BODY_LIMIT_BYTES {
            let message = format!("The body is larger than {BODY_LIMIT_BYTES} bytes.");
            let error = ApiError::invalid(None, message);
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return (whole.freeze(), Err(ApiError { status, code: "request_too_large", ..error }));
        }
        whole.extend_from_slice(data);
    }
    (whole.freeze(), Ok(()))
}
