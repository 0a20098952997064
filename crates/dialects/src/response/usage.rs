//! Token counts, as backends report them.

use crate::json::{Kind, Scanner, Span, SyntaxError};

/// `usage` of an answer or of a stream's last chunk, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `prompt_tokens`.
    pub prompt_tokens: u64,
    /// `completion_tokens`; 0 for embeddings.
    pub completion_tokens: u64,
    /// `total_tokens`.
    pub total_tokens: u64,
    /// `prompt_tokens_details.cached_tokens`: how many of the prompt's were read from the backend's own cache.
    pub cached_tokens: Option<u64>,
    /// `completion_tokens_details.reasoning_tokens`: how many of the completion's were thoughts.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// The counts as the API writes them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Self { prompt_tokens, completion_tokens, total_tokens, .. } = self;
        let mut json = format!(
            r#"{{"prompt_tokens":{prompt_tokens},"completion_tokens":{completion_tokens},"total_tokens":{total_tokens}"#
        );
        if let Some(cached) = self.cached_tokens {
            json.push_str(&format!(r#","prompt_tokens_details":{{"cached_tokens":{cached}}}"#));
        }
        if let Some(reasoning) = self.reasoning_tokens {
            json.push_str(&format!(r#","completion_tokens_details":{{"reasoning_tokens":{reasoning}}}"#));
        }
        json.push('}');
        json
    }

    /// Reads the object that comes next.
    pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<(Self, Span), SyntaxError> {
        let mut usage = Self::default();
        let span = scanner.object(|scanner, key| {
            match &*key.decoded(scanner.bytes()) {
                "prompt_tokens" => usage.prompt_tokens = count(scanner)?.unwrap_or_default(),
                "completion_tokens" => usage.completion_tokens = count(scanner)?.unwrap_or_default(),
                "total_tokens" => usage.total_tokens = count(scanner)?.unwrap_or_default(),
                "prompt_tokens_details" => usage.cached_tokens = detail(scanner, "cached_tokens")?,
                "completion_tokens_details" => usage.reasoning_tokens = detail(scanner, "reasoning_tokens")?,
                _ => scanner.pass()?,
            }
            Ok::<_, SyntaxError>(())
        })?;
        Ok((usage, span))
    }
}

fn count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, SyntaxError> {
    let span = scanner.skip()?;
    Ok(span.of(scanner.bytes()).parse().ok())
}

fn detail(scanner: &mut Scanner<'_>, name: &str) -> Result<Option<u64>, SyntaxError> {
    let mut found = None;
    if scanner.peek()? != Kind::Object {
        scanner.pass()?;
        return Ok(None);
    }
    scanner.object(|scanner, key| {
        if key.decoded(scanner.bytes()) == name {
            found = count(scanner)?;
        } else {
            scanner.pass()?;
        }
        Ok::<_, SyntaxError>(())
    })?;
    Ok(found)
}
