//! The script: everything that decides what the simulator answers, and when.
//!
//! Plain data with public fields, made to be written as `Script { …, ..Script::default() }`.

use std::str::FromStr;

use crate::{FaultRule, ScriptError, Traces};

/// What one simulated backend is and does.
#[derive(Clone, Debug)]
pub struct Script {
    /// Name of this backend: the value of the header `x-simulator` on every answer.
    pub name: String,
    /// Models it serves, in the order of `GET /v1/models`. A request without a model gets the first.
    pub models: Vec<String>,
    /// Whether a model that is not in `models` is answered too, under its own name, instead of with 404.
    pub any_model: bool,
    /// Time from the request to the first token, in milliseconds.
    pub first_token_ms: u64,
    /// Tokens per second after the first one; 0 means without delay.
    pub tokens_per_second: f64,
    /// Length of a text answer in tokens: the text is repeated or cut to it. `None` leaves the text as it is.
    /// At most 32,768 tokens are made, shared among the choices of a request.
    pub output_tokens: Option<u32>,
    /// Prompt tokens reported as read from a prefix cache, at most all of them.
    pub cached_tokens: u32,
    /// The texts.
    pub answer: Answer,
    /// When `reasoning_content` comes before the answer.
    pub reasoning: Reasoning,
    /// Length of the reasoning in tokens.
    pub reasoning_tokens: u32,
    /// Length of an embedding when the request names none.
    pub embedding_dimensions: usize,
    /// The faults, in order of precedence.
    pub faults: Vec<FaultRule>,
    /// Source of everything arbitrary: ids, embeddings, which requests a `chance` strikes.
    pub seed: u64,
    /// `created` of every answer, in seconds since 1970; `None` reads the clock.
    pub created: Option<u64>,
    /// Where the spans of the engine go; `None` writes none.
    pub traces: Option<Traces>,
    /// For load tests: answers are built once, nothing is parsed, timed, traced or recorded, and faults are off.
    /// A request whose body holds `"stream":true` gets the stream of `output_tokens` chunks.
    pub fast: bool,
}

impl Default for Script {
    /// One model `simulated-model` that answers at once, without reasoning or faults, with a fixed `created`.
    fn default() -> Self {
        Self {
            name: "simulator".into(),
            models: vec!["simulated-model".into()],
            any_model: false,
            first_token_ms: 0,
            tokens_per_second: 0.0,
            output_tokens: None,
            cached_tokens: 0,
            answer: Answer::default(),
            reasoning: Reasoning::WhenAsked,
            reasoning_tokens: 24,
            embedding_dimensions: 384,
            faults: Vec::new(),
            seed: 0,
            created: Some(1_750_000_000),
            traces: None,
            fast: false,
        }
    }
}

impl Script {
    /// A small general model: quick to start, fast, and without reasoning.
    pub fn small_general(model: &str) -> Self {
        Self {
            name: model.into(),
            models: vec![model.into()],
            first_token_ms: 40,
            tokens_per_second: 120.0,
            answer: Answer::familiar(),
            reasoning: Reasoning::Never,
            seed: 1,
            created: None,
            ..Self::default()
        }
    }

    /// A large reasoning model: slower to start, slower per token, and it thinks first when asked to.
    pub fn large_reasoning(model: &str) -> Self {
        Self {
            name: model.into(),
            models: vec![model.into()],
            first_token_ms: 180,
            tokens_per_second: 45.0,
            answer: Answer::familiar(),
            reasoning: Reasoning::WhenAsked,
            seed: 2,
            created: None,
            ..Self::default()
        }
    }
}

/// Whether the model shows its reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasoning {
    /// It has none, whatever the request asks for.
    Never,
    /// When the request asks: `chat_template_kwargs.enable_thinking` or `.thinking`, `thinking`, or a
    /// `reasoning_effort` other than `none`.
    #[default]
    WhenAsked,
    /// Before every chat answer.
    Always,
}

impl FromStr for Reasoning {
    type Err = ScriptError;

    /// Reads `never`, `when-asked` or `always`.
    fn from_str(written: &str) -> Result<Self, ScriptError> {
        match written {
            "never" => Ok(Self::Never),
            "when-asked" => Ok(Self::WhenAsked),
            "always" => Ok(Self::Always),
            _ => Err(ScriptError::new(written, "reasoning is one of never, when-asked, always")),
        }
    }
}

/// The texts of the answers: the first row whose left side occurs in the last user message, ignoring case, else a
/// default that names the model and repeats the beginning of the question.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Rows of (part of the prompt, text).
    pub table: Vec<(String, String)>,
    /// Replaces the default text; `{model}` and `{prompt}` in it are filled in.
    pub otherwise: Option<String>,
}

const FAMILIAR: &[(&str, &str)] = &[
    (
        "derivative of x^3",
        "The derivative of x^3 is 3x^2. By the power rule, d/dx x^n = n·x^(n-1), and here n = 3.",
    ),
    ("haiku about tea", "Steam above the cup,\na leaf turns slowly, then rests:\nthe morning begins."),
    ("capital of france", "The capital of France is Paris."),
];

const OTHERWISE: &str =
    "This is {model}, a simulated model. You asked: \"{prompt}\" A real model would answer that here.";

/// Characters of the prompt that the default answer repeats.
const QUOTED_CHARS: usize = 160;

impl Answer {
    /// Answers to the questions that the demo suggests.
    pub fn familiar() -> Self {
        let table = FAMILIAR.iter().map(|(part, text)| ((*part).into(), (*text).into())).collect();
        Self { table, otherwise: None }
    }

    /// The text for a prompt. Pure: the same prompt and model always give the same text.
    pub fn text(&self, prompt: &str, model: &str) -> String {
        let lower = prompt.to_lowercase();
        if let Some((_, text)) = self.table.iter().find(|(part, _)| lower.contains(&part.to_lowercase())) {
            return text.clone();
        }
        let quoted: String = prompt.chars().take(QUOTED_CHARS).collect();
        let template = self.otherwise.as_deref().unwrap_or(OTHERWISE);
        // The prompt goes in last, so that a `{model}` inside it stays as it was written.
        template.replace("{model}", model).replace("{prompt}", &quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_is_written_in_three_ways() {
        assert_eq!("when-asked".parse(), Ok(Reasoning::WhenAsked));
        assert!("sometimes".parse::<Reasoning>().is_err());
    }

    #[test]
    fn the_table_is_searched_without_case_and_the_default_names_model_and_question() {
        let answer = Answer::familiar();
        assert!(answer.text("Write a HAIKU about tea", "m").contains("leaf"));
        let text = answer.text("why {model}?", "tiny");
        assert!(text.contains("This is tiny") && text.contains("why {model}?"), "{text}");
    }
}
