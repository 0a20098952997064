//! Whether an answer is a tool call, and which.
//!
//! The rule: a request with `tools`, whose `tool_choice` is not `none` and whose last message is the user's, gets a
//! call when `tool_choice` is `required` (the first tool), names a function (that one), or when the last user
//! message contains, ignoring case, a word of four letters or more of a function's name (`get_weather`: "weather").
//! A free string among the arguments is the last capitalised word of the message, else `example`.

use serde_json::Value;

use crate::example::example;
use crate::request::{ChatRequest, Function};

/// A call that the model makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) arguments: String,
}

/// Words of a function's name that say nothing about what is asked.
const IDLE_WORDS: &[&str] = &["current", "function", "tool", "call", "with", "from", "make", "list", "find"];

pub(crate) fn requested(request: &ChatRequest) -> Option<Call> {
    let functions: Vec<&Function> =
        request.tools.iter().flatten().filter_map(|tool| tool.function.as_ref()).collect();
    let asks = request.messages.last().is_some_and(|message| message.role == "user");
    if functions.is_empty() || !asks {
        return None;
    }
    let prompt = request.prompt();
    let function = match &request.tool_choice {
        Some(Value::String(choice)) if choice == "none" => return None,
        Some(Value::String(choice)) if choice == "required" => functions.first()?,
        Some(Value::Object(choice)) => {
            let name = choice.get("function")?.get("name")?.as_str()?;
            functions.iter().find(|function| function.name == name)?
        }
        _ => functions.iter().find(|function| mentions(&prompt, &function.name))?,
    };
    let arguments = match example(&function.parameters, subject(&prompt)) {
        object @ Value::Object(_) => object.to_string(),
        _ => "{}".to_owned(),
    };
    Some(Call { name: function.name.clone(), arguments })
}

fn mentions(prompt: &str, name: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let name = name.to_lowercase();
    if prompt.contains(&name) {
        return true;
    }
    let words = name.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| word.len() >= 4 && !IDLE_WORDS.contains(word)).any(|word| prompt.contains(word))
}

/// The last capitalised word after the first word of the prompt: a city, a person.
fn subject(prompt: &str) -> &str {
    let words = prompt.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let named = words.skip(1).filter(|word| word.chars().next().is_some_and(char::is_uppercase));
    named.last().unwrap_or("example")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(prompt: &str, choice: Value) -> Option<Call> {
        let request = json!({
            "messages": [{"role": "user", "content": prompt}],
            "tools": [
                {"type": "function", "function": {"name": "get_time"}},
                {"type": "function", "function": {"name": "get_weather", "parameters": {
                    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}},
            ],
            "tool_choice": choice,
        });
        requested(&serde_json::from_value(request).unwrap())
    }

    #[test]
    fn a_call_is_made_when_the_prompt_or_the_choice_asks() {
        let weather = Call { name: "get_weather".into(), arguments: r#"{"city":"Paris"}"#.into() };
        assert_eq!(call("What is the Weather in Paris?", Value::Null), Some(weather.clone()));
        let named = json!({"type": "function", "function": {"name": "get_weather"}});
        assert_eq!(call("Hello from Paris", named), Some(weather));
        assert_eq!(call("Hello", json!("required")).unwrap().name, "get_time");
        assert_eq!(call("What is the weather?", json!("none")), None);
        assert_eq!(call("Tell me a joke", json!("auto")), None);
    }

    #[test]
    fn a_tool_result_is_answered_in_words() {
        let request = json!({
            "messages": [{"role": "user", "content": "weather?"}, {"role": "tool", "content": "sunny"}],
            "tools": [{"type": "function", "function": {"name": "get_weather"}}],
        });
        assert_eq!(requested(&serde_json::from_value(request).unwrap()), None);
    }
}
