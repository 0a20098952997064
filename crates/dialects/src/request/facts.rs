//! The facts of a request: what routing, guarding and tracing ask of it.

/// What was read from the top-level members. Everything here is the client's claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// `model`.
    pub model: Option<Box<str>>,
    /// `stream`; absent means no.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: Option<bool>,
    /// `user`.
    pub user: Option<Box<str>>,
    /// `previous_response_id`, by which a client continues a stored conversation.
    pub previous_response_id: Option<Box<str>>,
    /// How the answer shall be drawn.
    pub sampling: Sampling,
    /// What the request is made of.
    pub shape: Shape,
}

/// How the client wants the answer drawn; each is `None` where it leaves the choice to the backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `top_k`, which vLLM adds to the dialect.
    pub top_k: Option<f64>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`.
    pub presence_penalty: Option<f64>,
    /// `max_completion_tokens`, else the older `max_tokens`.
    pub max_tokens: Option<u64>,
    /// `n`: how many answers.
    pub n: Option<u64>,
    /// `seed`.
    pub seed: Option<i64>,
    /// `reasoning_effort`, for instance `low`.
    pub reasoning_effort: Option<Box<str>>,
    /// `stop`: a string or several.
    pub stop: Vec<String>,
}

/// What the request is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Messages of a chat, prompts of a completion (and its suffix), inputs of an embedding.
    pub message_count: usize,
    /// How many messages are the user's.
    pub user_turns: usize,
    /// `tools` or the older `functions`, unless empty.
    pub has_tools: bool,
    /// `tool_choice` or the older `function_call`.
    pub has_tool_choice: bool,
    /// `response_format`, unless it is plain text.
    pub has_response_format: bool,
    /// `logprobs` is asked for.
    pub has_logprobs: bool,
    /// A message part is an image or a video.
    pub has_images: bool,
    /// A message part is sound, or the answer shall be.
    pub has_audio: bool,
    /// A message part is a file.
    pub has_files: bool,
    /// The prompt or input is token numbers, so that there is no text to read.
    pub has_token_ids: bool,
}
