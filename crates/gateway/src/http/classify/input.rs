//! What a call of the classification API says. Errors name the member at fault and repeat nothing of its value.

use std::sync::Arc;

use bytes::Bytes;
use dialects::response::ErrorCode;
use serde_json::{Map, Value};

use crate::errors::ApiError;

/// The members of a call.
pub(super) struct Input(Map<String, Value>);

/// A check of this API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Intent,
    Pii,
    Security,
}

/// How a text is to be checked. What a check has no use for is ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Options {
    /// Confidence from which something counts.
    pub(super) threshold: Option<f32>,
    /// PII types that are wanted; `None` means all.
    pub(super) entity_types: Option<Vec<String>>,
    pub(super) return_probabilities: bool,
    pub(super) return_positions: bool,
    pub(super) mask_entities: bool,
}

impl Task {
    pub(super) const ALL: [Task; 3] = [Task::Intent, Task::Pii, Task::Security];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Task::Intent => "intent",
            Task::Pii => "pii",
            Task::Security => "security",
        }
    }

    fn from_word(word: &str) -> Option<Task> {
        // The second name is that of the check in the traces.
        let word = if word == "jailbreak" { "security" } else { word };
        Task::ALL.into_iter().find(|task| task.as_str() == word)
    }
}

impl Input {
    pub(super) fn read(body: &Bytes) -> Result<Input, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Input(members)),
            Ok(_) => {
                let message = "The request body must be a JSON object.";
                Err(ApiError::new(ErrorCode::InvalidRequest, message))
            }
            Err(error) => {
                let message = format!(
                    "The request body is not valid JSON: see line {}, column {}.",
                    error.line(),
                    error.column()
                );
                Err(ApiError::new(ErrorCode::InvalidJson, message))
            }
        }
    }

    pub(super) fn text(&self) -> Result<Arc<str>, ApiError> {
        let text = self.0.get("text").and_then(Value::as_str);
        text.map(Arc::from).ok_or_else(|| invalid("text", "must be a string"))
    }

    /// The texts of a batch, at least one and at most `limit`.
    pub(super) fn texts(&self, limit: usize) -> Result<Vec<String>, ApiError> {
        let Some(texts) = self.0.get("texts").and_then(Value::as_array) else {
            return Err(invalid("texts", "must be an array of strings"));
        };
        if texts.is_empty() || texts.len() > limit {
            return Err(invalid("texts", &format!("must have 1 to {limit} entries")));
        }
        let each = texts.iter().enumerate().map(|(index, text)| {
            let text = text.as_str().map(str::to_owned);
            text.ok_or_else(|| invalid(&format!("texts[{index}]"), "must be a string"))
        });
        each.collect()
    }

    /// `task_type` of a batch; intent when it is missing.
    pub(super) fn task_type(&self) -> Result<Task, ApiError> {
        match self.0.get("task_type") {
            None | Some(Value::Null) => Ok(Task::Intent),
            Some(word) => word
                .as_str()
                .and_then(Task::from_word)
                .ok_or_else(|| invalid("task_type", "must be one of intent, pii, security")),
        }
    }

    /// `tasks` of a combined call; all when they are missing.
    pub(super) fn tasks(&self) -> Result<Vec<Task>, ApiError> {
        let wrong = || invalid("tasks", "must be an array of intent, pii, security");
        let words = match self.0.get("tasks") {
            None | Some(Value::Null) => return Ok(Task::ALL.to_vec()),
            Some(words) => words.as_array().ok_or_else(wrong)?,
        };
        let mut tasks = Vec::new();
        for word in words {
            let task = word.as_str().and_then(Task::from_word).ok_or_else(wrong)?;
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        if tasks.is_empty() { Err(wrong()) } else { Ok(tasks) }
    }

    pub(super) fn options(&self) -> Result<Options, ApiError> {
        let options = match self.0.get("options") {
            None | Some(Value::Null) => return Ok(Options::default()),
            Some(options) => options.as_object().ok_or_else(|| invalid("options", "must be an object"))?,
        };
        Ok(Options {
            threshold: threshold(options)?,
            entity_types: entity_types(options)?,
            return_probabilities: flag(options, "return_probabilities")?,
            return_positions: flag(options, "return_positions")?,
            mask_entities: flag(options, "mask_entities")?,
        })
    }
}

fn threshold(options: &Map<String, Value>) -> Result<Option<f32>, ApiError> {
    let name = "options.confidence_threshold";
    let Some(value) = options.get("confidence_threshold").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    #[expect(clippy::cast_possible_truncation, reason = "the value lies between 0 and 1")]
    let number = value.as_f64().filter(|number| (0.0..=1.0).contains(number)).map(|number| number as f32);
    number.map(Some).ok_or_else(|| invalid(name, "must be a number from 0 to 1"))
}

fn entity_types(options: &Map<String, Value>) -> Result<Option<Vec<String>>, ApiError> {
    let wrong = || invalid("options.entity_types", "must be an array of strings");
    let Some(value) = options.get("entity_types").filter(|value| !value.is_null()) else { return Ok(None) };
    let words = value.as_array().ok_or_else(wrong)?;
    let types: Option<Vec<String>> =
        words.iter().map(|word| word.as_str().map(str::to_ascii_uppercase)).collect();
    // An empty list says as little as none.
    types.ok_or_else(wrong).map(|types| Some(types).filter(|types| !types.is_empty()))
}

fn flag(options: &Map<String, Value>, name: &str) -> Result<bool, ApiError> {
    match options.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(invalid(&format!("options.{name}"), "must be true or false")),
    }
}

fn invalid(param: &str, problem: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, format!("`{param}` {problem}.")).with_param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(json: &'static str) -> Input {
        Input::read(&Bytes::from_static(json.as_bytes())).unwrap()
    }

    fn param<T>(result: Result<T, ApiError>) -> Option<String> {
        result.err().unwrap().param
    }

    #[test]
    fn what_is_missing_has_a_default_and_what_is_wrong_has_a_name() {
        assert_eq!(input("{}").options().unwrap(), Options::default());
        assert_eq!(input("{}").tasks().unwrap(), Task::ALL);
        assert_eq!(
            input(r#"{"tasks":["pii","pii","jailbreak"]}"#).tasks().unwrap(),
            [Task::Pii, Task::Security]
        );
        assert_eq!(param(input(r#"{"text":7}"#).text()).as_deref(), Some("text"));
        assert_eq!(param(input(r#"{"texts":["a",1]}"#).texts(9)).as_deref(), Some("texts[1]"));
        assert_eq!(param(input(r#"{"texts":["a","b"]}"#).texts(1)).as_deref(), Some("texts"));
        assert_eq!(param(input(r#"{"task_type":"x"}"#).task_type()).as_deref(), Some("task_type"));
        let wrong = input(r#"{"options":{"confidence_threshold":2}}"#).options();
        assert_eq!(param(wrong).as_deref(), Some("options.confidence_threshold"));
        let wrong = input(r#"{"options":{"mask_entities":"yes"}}"#).options();
        assert_eq!(param(wrong).as_deref(), Some("options.mask_entities"));
    }

    #[test]
    fn an_error_repeats_nothing_of_the_body() {
        let broken = Bytes::from_static(b"{\"text\":\"sk-secret-value\" \"}");
        let error = Input::read(&broken).err().unwrap();
        assert_eq!(error.code, ErrorCode::InvalidJson);
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}
