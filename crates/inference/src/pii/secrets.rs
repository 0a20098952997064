//! Keys and tokens: by the prefixes that services give them, or because the text says what they are.

use super::scan::{Pass, Signs, compile, entity};
use super::{PiiEntity, PiiType};
use regex::Regex;

/// No key of any service below is shorter.
const MIN_RUN_BYTES: usize = 16;

#[derive(Debug)]
pub(super) struct Secrets {
    prefixed: Regex,
    said: Regex,
    private_key: Regex,
    bearer: Regex,
    json_web_token: Regex,
}

impl Secrets {
    pub(super) fn new() -> Self {
        Self {
            // OpenAI and those who copied it, AWS, GitHub, GitLab, Slack, Google, Hugging Face, Stripe, SendGrid, npm.
            prefixed: compile(concat!(
                r"(?-u)\b(?:sk-[A-Za-z0-9_-]{16,}|A(?:KI|SI)A[A-Z0-9]{16}\b|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}",
                r"|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{30,}",
                r"|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{36})",
            )),
            said: compile(concat!(
                r"(?i-u)\b(?:api|secret|access|auth)[_ -]?(?:key|token)[\x22']?(?: is|[ \t]?[=:]>?)?",
                r"[ \t]?[\x22'`]?([A-Za-z0-9_-]{16,})",
            )),
            private_key: compile(
                r"(?-u)-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]+-----END [A-Z ]{0,20}PRIVATE KEY-----",
            ),
            bearer: compile(r"(?i-u)\bbearer[ \t]{1,4}([A-Za-z0-9._~+/-]{16,}=*)"),
            json_web_token: compile(r"(?-u)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
        }
    }

    pub(super) fn find<E>(
        &self,
        text: &str,
        signs: Signs,
        found: &mut Vec<PiiEntity>,
        pass: &mut Pass<'_, E>,
    ) -> Result<(), E> {
        if signs.longest_run < MIN_RUN_BYTES {
            return Ok(());
        }
        pass()?;
        let prefixed = self.prefixed.find_iter(text).filter(|hit| has_digit(hit.as_str()));
        found.extend(prefixed.map(|hit| entity(PiiType::ApiKey, hit.start(), hit.end(), 1.0)));
        pass()?;
        let private = self.private_key.find_iter(text);
        found.extend(private.map(|hit| entity(PiiType::ApiKey, hit.start(), hit.end(), 1.0)));
        pass()?;
        let tokens = self.json_web_token.find_iter(text);
        found.extend(tokens.map(|hit| entity(PiiType::BearerToken, hit.start(), hit.end(), 0.99)));
        pass()?;
        let bearer = self
            .bearer
            .captures_iter(text)
            .filter_map(|hit| hit.get(1))
            .filter(|hit| has_digit(hit.as_str()));
        found.extend(bearer.map(|hit| entity(PiiType::BearerToken, hit.start(), hit.end(), 0.98)));
        pass()?;
        let said =
            self.said.captures_iter(text).filter_map(|hit| hit.get(1)).filter(|hit| has_digit(hit.as_str()));
        found.extend(said.map(|hit| entity(PiiType::ApiKey, hit.start(), hit.end(), 0.9)));
        Ok(())
    }
}

/// A key that is random has a digit; `sk-learn-style-names-of-things` have none.
fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}
