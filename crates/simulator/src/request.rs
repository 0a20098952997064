//! The parts of a request that the simulator reads. Other fields are ignored, as a lenient backend does.

use serde::Deserialize;
use serde_json::Value;

/// `POST /v1/chat/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct ChatRequest {
    pub(crate) model: Option<String>,
    pub(crate) messages: Vec<Message>,
    #[serde(flatten)]
    pub(crate) sampling: Sampling,
    pub(crate) max_completion_tokens: Option<u32>,
    #[serde(default)]
    pub(crate) tools: Option<Vec<Tool>>,
    pub(crate) tool_choice: Option<Value>,
    pub(crate) response_format: Option<ResponseFormat>,
    pub(crate) reasoning_effort: Option<String>,
    pub(crate) chat_template_kwargs: Option<Value>,
    pub(crate) thinking: Option<Value>,
}

/// `POST /v1/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct CompletionRequest {
    pub(crate) model: Option<String>,
    pub(crate) prompt: Value,
    #[serde(flatten)]
    pub(crate) sampling: Sampling,
}

/// `POST /v1/embeddings`.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbeddingRequest {
    pub(crate) model: Option<String>,
    pub(crate) input: Value,
    pub(crate) dimensions: Option<usize>,
    pub(crate) encoding_format: Option<Encoding>,
}

/// How an embedding is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    /// An array of numbers.
    #[default]
    Float,
    /// Base64 of little-endian 32-bit floats.
    Base64,
}

/// What both kinds of completion have in common.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Sampling {
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
    pub(crate) n: Option<u32>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) stop: Option<Stop>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
}

impl Sampling {
    pub(crate) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(crate) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamOptions {
    include_usage: Option<bool>,
}

/// One stop sequence or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Stop {
    One(String),
    Several(Vec<String>),
}

impl Stop {
    pub(crate) fn sequences(&self) -> &[String] {
        match self {
            Self::One(sequence) => std::slice::from_ref(sequence),
            Self::Several(sequences) => sequences,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    /// The text of the message: a string, or the text parts of a list, joined by line breaks.
    pub(crate) fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
                texts.join("\n")
            }
            _ => String::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tool {
    pub(crate) function: Option<Function>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parameters: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ResponseFormat {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) json_schema: Option<JsonSchema>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct JsonSchema {
    #[serde(default)]
    pub(crate) schema: Value,
}

impl ChatRequest {
    /// The text of the last user message.
    pub(crate) fn prompt(&self) -> String {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role == "user")
            .map(Message::text)
            .unwrap_or_default()
    }

    pub(crate) fn max_tokens(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.sampling.max_tokens)
    }

    /// Whether the request asks for reasoning in one of the known ways.
    pub(crate) fn asks_for_reasoning(&self) -> bool {
        let template = |key| self.chat_template_kwargs.as_ref().and_then(|arguments| arguments.get(key));
        let switch = [template("enable_thinking"), template("thinking"), self.thinking.as_ref()];
        if let Some(value) = switch.into_iter().flatten().next() {
            return switched_on(value);
        }
        self.reasoning_effort.as_deref().is_some_and(|effort| effort != "none")
    }
}

/// `true`, or an object like `{"type": "enabled"}`.
fn switched_on(value: &Value) -> bool {
    match value {
        Value::Bool(on) => *on,
        Value::Object(fields) => fields.get("type").and_then(Value::as_str) != Some("disabled"),
        _ => false,
    }
}

/// Texts of a `prompt` or an `input`: one string, several, or tokens, which are written out as numbers.
/// `None` when it is none of these.
pub(crate) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_u64) => {
            Some(vec![numbers(items)])
        }
        Value::Array(items) => items.iter().map(text_or_tokens).collect(),
        _ => None,
    }
}

fn text_or_tokens(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Some(numbers(tokens)),
        _ => None,
    }
}

fn numbers(tokens: &[Value]) -> String {
    tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(value: Value) -> ChatRequest {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_prompt_is_the_last_user_text_also_from_parts() {
        let request = chat(json!({"messages": [
            {"role": "user", "content": "first"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null},
        ]}));
        assert_eq!(request.prompt(), "a\nb");
    }

    #[test]
    fn each_reasoning_family_is_understood() {
        let asks = |field: Value| {
            let mut request = json!({"messages": []});
            request.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
            chat(request).asks_for_reasoning()
        };
        assert!(asks(json!({"chat_template_kwargs": {"enable_thinking": true}})));
        assert!(asks(json!({"chat_template_kwargs": {"thinking": true}})));
        assert!(asks(json!({"thinking": {"type": "enabled"}})));
        assert!(asks(json!({"reasoning_effort": "low"})));
        assert!(!asks(json!({"reasoning_effort": "none"})));
        assert!(!asks(
            json!({"chat_template_kwargs": {"enable_thinking": false}, "reasoning_effort": "high"})
        ));
        assert!(!asks(json!({})));
    }

    #[test]
    fn inputs_are_strings_lists_or_tokens() {
        assert_eq!(texts(&json!("a")).unwrap(), ["a"]);
        assert_eq!(texts(&json!(["a", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(texts(&json!([1, 2])).unwrap(), ["1 2"]);
        assert_eq!(texts(&json!([[1, 2], [3]])).unwrap(), ["1 2", "3"]);
        assert_eq!(texts(&json!({"a": 1})), None);
    }
}
