//! The answers on the wire, as a vLLM server writes them, with its order of fields.

use http::StatusCode;
use serde::Serialize;

/// Always `null`: a field that clients expect and the simulator has no value for.
pub(crate) type Null = Option<()>;

/// The outer object of completions and of their chunks.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<'a, C> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    pub(crate) choices: Vec<C>,
    pub(crate) system_fingerprint: Null,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
}

/// A choice of a whole chat answer.
#[derive(Debug, Serialize)]
pub(crate) struct ChatChoice<'a> {
    pub(crate) index: u32,
    pub(crate) message: ChatMessage<'a>,
    pub(crate) logprobs: Null,
    pub(crate) finish_reason: &'static str,
    pub(crate) stop_reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatMessage<'a> {
    pub(crate) role: &'static str,
    pub(crate) content: Option<String>,
    pub(crate) refusal: Null,
    pub(crate) tool_calls: Vec<ToolCall<'a>>,
    pub(crate) reasoning_content: Option<String>,
}

/// A tool call, whole or the part of one that a chunk carries.
#[derive(Debug, Serialize)]
pub(crate) struct ToolCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<&'static str>,
    pub(crate) function: FunctionCall<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'a str>,
    pub(crate) arguments: &'a str,
}

/// A choice of a chat chunk.
#[derive(Debug, Serialize)]
pub(crate) struct ChatDelta<'a> {
    pub(crate) index: u32,
    pub(crate) delta: &'a Delta<'a>,
    pub(crate) logprobs: Null,
    pub(crate) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_reason: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ToolCall<'a>>,
}

/// A choice of a legacy completion, whole or as a chunk.
#[derive(Debug, Serialize)]
pub(crate) struct TextChoice<'a> {
    pub(crate) index: u32,
    pub(crate) text: &'a str,
    pub(crate) logprobs: Null,
    pub(crate) finish_reason: Option<&'static str>,
    pub(crate) stop_reason: Option<&'a str>,
}

/// Token counts; `completion_tokens` contains the reasoning tokens.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u32,
    pub(crate) total_tokens: u32,
    pub(crate) completion_tokens: u32,
    pub(crate) prompt_tokens_details: PromptDetails,
    pub(crate) completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PromptDetails {
    pub(crate) cached_tokens: u32,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct CompletionDetails {
    pub(crate) reasoning_tokens: u32,
}

/// A list, as models and embeddings come.
#[derive(Debug, Serialize)]
pub(crate) struct List<'a, T> {
    pub(crate) object: &'static str,
    pub(crate) data: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<EmbeddingUsage>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Model<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) owned_by: &'a str,
    pub(crate) root: &'a str,
    pub(crate) max_model_len: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Embedding {
    pub(crate) object: &'static str,
    pub(crate) index: usize,
    pub(crate) embedding: Vector,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Debug, Serialize)]
pub(crate) struct EmbeddingUsage {
    pub(crate) prompt_tokens: u32,
    pub(crate) total_tokens: u32,
}

/// An error answer: the client's mistake, in the shape of the OpenAI API.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) param: Option<&'static str>,
    pub(crate) code: &'static str,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl ApiError {
    pub(crate) fn invalid(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), param, code: "invalid_request" }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        error_body(self.status, &self.message, self.param, Some(self.code))
    }
}

/// The JSON of an OpenAI error object.
pub(crate) fn error_body(
    status: StatusCode,
    message: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Vec<u8> {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json(&ErrorBody { error: ErrorObject { message, kind, param, code } })
}

/// JSON of a value that always has one: the types of this file hold nothing that could fail.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// One SSE frame with a JSON payload.
pub(crate) fn frame<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = b"data: ".to_vec();
    bytes.extend_from_slice(&json(value));
    bytes.extend_from_slice(b"\n\n");
    bytes
}

/// The frame that ends a stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";
