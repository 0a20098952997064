//! The fast mode: a static backend for load tests. It reads a body only to empty the connection and to see whether
//! it asks for a stream; it parses, times, records and breaks nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use memchr::memmem;

use crate::api::ApiError;
use crate::body::ReplyBody;
use crate::compose;
use crate::format::{self, Meta, Pace};
use crate::handler::{NAME_HEADER, created, embedding_list, model_list};
use crate::plan::{Chunk, EVENT_STREAM, JSON};
use crate::request::Encoding;
use crate::script::{Answer, Script};

/// Tokens of an answer when the script names no length.
const TOKENS: u32 = 16;
const PROMPT: &str = "fast";

/// Answers that were built once.
#[derive(Debug)]
pub(crate) struct Fast {
    chat: Ready,
    chat_stream: Ready,
    text: Ready,
    text_stream: Ready,
    embedding: Ready,
    models: Ready,
    missing: Ready,
}

#[derive(Debug)]
struct Ready {
    status: StatusCode,
    headers: HeaderMap,
    chunks: Arc<[Bytes]>,
}

impl Ready {
    fn response(&self) -> Response<ReplyBody> {
        let mut response = Response::new(ReplyBody::Ready { chunks: self.chunks.clone(), next: 0 });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

impl Fast {
    pub(crate) fn new(script: &Script, name: &HeaderValue) -> Self {
        let script = Script {
            output_tokens: script.output_tokens.or(Some(TOKENS)),
            answer: Answer { table: Vec::new(), ..script.answer.clone() },
            ..script.clone()
        };
        let model = script.models.first().map_or("simulated-model", String::as_str);
        let made = compose::completion(&script, PROMPT, &Default::default(), model);
        let created = created(&script);
        let meta = |prefix| Meta { id: format!("{prefix}{:032x}", script.seed), created, model };
        let pace = Pace { first: Default::default(), interval: Default::default() };

        let ready = |status, content_type, chunks: Vec<Bytes>| {
            let mut headers = HeaderMap::with_capacity(4);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(NAME_HEADER, name.clone());
            Ready { status, headers, chunks: chunks.into() }
        };
        let whole = |status, body: Vec<u8>| ready(status, JSON, vec![body.into()]);
        let stream = |chunks: VecDeque<Chunk>| {
            ready(StatusCode::OK, EVENT_STREAM, chunks.into_iter().map(|chunk| chunk.bytes).collect())
        };
        let dimensions = script.embedding_dimensions;
        let embeddings =
            embedding_list(&[PROMPT.to_owned()], model, dimensions, Encoding::Float, script.seed);
        let missing = ApiError {
            status: StatusCode::NOT_FOUND,
            message: "No such URL.".into(),
            param: None,
            code: "not_found",
        };
        Self {
            chat: whole(StatusCode::OK, format::chat(&meta("chatcmpl-"), &made, 1)),
            chat_stream: stream(format::chat_stream(&meta("chatcmpl-"), &made, 1, &pace, Some(&made.usage))),
            text: whole(StatusCode::OK, format::text(&meta("cmpl-"), &made, 1)),
            text_stream: stream(format::text_stream(&meta("cmpl-"), &made, 1, &pace, Some(&made.usage))),
            embedding: whole(StatusCode::OK, embeddings),
            models: whole(StatusCode::OK, model_list(&script.models, created)),
            missing: whole(missing.status, missing.body()),
        }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let (parts, mut body) = request.into_parts();
        let mut streams = false;
        while let Some(Ok(frame)) = body.frame().await {
            // A request small enough for a load test comes in one piece; one split inside the field is not a stream.
            streams |= frame.data_ref().is_some_and(|data| asks_for_stream(data));
        }
        let ready = match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/v1/chat/completions") if streams => &self.chat_stream,
            (&Method::POST, "/v1/chat/completions") => &self.chat,
            (&Method::POST, "/v1/completions") if streams => &self.text_stream,
            (&Method::POST, "/v1/completions") => &self.text,
            (&Method::POST, "/v1/embeddings") => &self.embedding,
            (&Method::GET, "/v1/models" | "/health") => &self.models,
            _ => &self.missing,
        };
        ready.response()
    }
}

/// Whether a body holds `"stream":true`, with or without blanks after the colon.
fn asks_for_stream(body: &[u8]) -> bool {
    const FIELD: &[u8] = b"\"stream\":";
    let after = memmem::find(body, FIELD).and_then(|at| body.get(at + FIELD.len()..));
    after.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"true"))
}
