//! When a fault strikes. Pure: a rule sees the request's number, headers and body, and keeps no state.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use memchr::memmem;

use crate::Fault;
use crate::fault::whole;

/// The header by which a request asks for a fault.
pub(crate) const FAULT_HEADER: &str = "x-simulate-fault";

/// A fault and its condition.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// What happens.
    pub fault: Fault,
    /// To which requests.
    pub when: When,
}

/// The condition of a [`FaultRule`]. POST requests are counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Every request.
    Always,
    /// Every nth request, beginning with the nth.
    EveryNth(u64),
    /// The first n requests.
    FirstN(u64),
    /// That share of the requests, from 0 to 1, chosen by the script's seed.
    Chance(f64),
    /// Requests whose body contains this text.
    PromptContains(String),
    /// Requests whose `x-simulate-fault` is the fault's name. The rule's own numbers apply.
    Header,
}

/// A part of a script that cannot be read: what was written, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    written: String,
    reason: String,
}

impl ScriptError {
    pub(crate) fn new(written: &str, reason: impl Into<String>) -> Self {
        Self { written: written.into(), reason: reason.into() }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.written, self.reason)
    }
}

impl std::error::Error for ScriptError {}

impl FromStr for FaultRule {
    type Err = ScriptError;

    fn from_str(written: &str) -> Result<Self, ScriptError> {
        let (fault, when) = written.split_once('@').unwrap_or((written, "always"));
        Ok(Self { fault: fault.parse()?, when: condition(written, when.trim())? })
    }
}

fn condition(written: &str, when: &str) -> Result<When, ScriptError> {
    let counted = |count: &str| match whole(written, count)? {
        0 => Err(ScriptError::new(written, "requests are counted from 1")),
        count => Ok(count),
    };
    match when.split_once('=') {
        None if when == "always" => Ok(When::Always),
        None if when == "header" => Ok(When::Header),
        Some(("every", count)) => Ok(When::EveryNth(counted(count)?)),
        Some(("first", count)) => Ok(When::FirstN(counted(count)?)),
        Some(("prompt", text)) if !text.is_empty() => Ok(When::PromptContains(text.into())),
        Some(("chance", share)) => match share.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(When::Chance(share)),
            _ => Err(ScriptError::new(written, "a chance is between 0 and 1")),
        },
        _ => Err(ScriptError::new(
            written,
            "after @ comes always, every=N, first=N, chance=P, prompt=TEXT or header",
        )),
    }
}

/// One request as the rules see it.
pub(crate) struct Target<'a> {
    /// Number of this POST request, from 1; `None` for other methods, which only a header can strike.
    pub(crate) number: Option<u64>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// The fault for a request, by the first rule that applies, else by the request's own wish.
///
/// # Errors
/// The header names no fault.
pub(crate) fn choose(
    rules: &[FaultRule],
    target: &Target<'_>,
    backend: &str,
    seed: u64,
) -> Result<Option<Fault>, ScriptError> {
    let wish = wish(target.headers, backend);
    if let Some(number) = target.number {
        for (index, rule) in (0u64..).zip(rules) {
            let strikes = match &rule.when {
                When::Always => true,
                When::EveryNth(count) => number.is_multiple_of(*count),
                When::FirstN(count) => number <= *count,
                When::Chance(share) => drawn(seed, index, number) < *share,
                When::PromptContains(text) => memmem::find(target.body, text.as_bytes()).is_some(),
                When::Header => wish == Some(rule.fault.name()),
            };
            if strikes {
                return Ok(Some(rule.fault.clone()));
            }
        }
    }
    wish.map(str::parse).transpose()
}

/// The fault that the header asks for, if it means this backend.
fn wish<'a>(headers: &'a HeaderMap, backend: &str) -> Option<&'a str> {
    let written = headers.get(FAULT_HEADER)?.to_str().ok()?;
    let (fault, rest) = written.split_once(';').unwrap_or((written, ""));
    match rest.trim().strip_prefix("on=") {
        Some(other) if other.trim() != backend => None,
        _ => Some(fault.trim()),
    }
}

/// A number from 0 to 1 that only the seed, the rule and the request decide.
fn drawn(seed: u64, rule: u64, number: u64) -> f64 {
    let mixed = seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ rule.rotate_left(32);
    fastrand::Rng::with_seed(mixed).f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(rule: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        let rules = [rule.parse::<FaultRule>().unwrap()];
        let headers = HeaderMap::new();
        numbers
            .filter(|number| {
                let target =
                    Target { number: Some(*number), headers: &headers, body: b"{\"a\":\"BOOM now\"}" };
                choose(&rules, &target, "b", 7).unwrap().is_some()
            })
            .collect()
    }

    #[test]
    fn conditions_count_requests_from_one() {
        assert_eq!(struck("reset", 1..=3), [1, 2, 3]);
        assert_eq!(struck("reset@every=3", 1..=9), [3, 6, 9]);
        assert_eq!(struck("reset@first=2", 1..=9), [1, 2]);
        assert_eq!(struck("reset@prompt=BOOM now", 1..=1), [1]);
        assert_eq!(struck("reset@prompt=calm", 1..=1), [0u64; 0]);
        assert_eq!(struck("reset@chance=0", 1..=99), [0u64; 0]);
        let half = struck("reset@chance=0.5", 1..=1_000).len();
        assert!((400..600).contains(&half), "{half}");
        assert_eq!(struck("reset@chance=0.5", 1..=1_000).len(), half, "the same seed draws the same");
    }

    #[test]
    fn a_header_asks_for_a_fault_of_one_backend_or_of_all() {
        let asked = |value: &str, backend: &str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(FAULT_HEADER),
                http::HeaderValue::from_str(value).unwrap(),
            )]);
            choose(&[], &Target { number: None, headers: &headers, body: b"" }, backend, 0)
        };
        assert_eq!(asked("reset", "a"), Ok(Some(Fault::Reset)));
        assert_eq!(asked("cut-after=3; on=a", "a"), Ok(Some(Fault::CutAfter { chunks: 3 })));
        assert_eq!(asked("reset; on=b", "a"), Ok(None));
        assert!(asked("nonsense", "a").is_err());
    }

    #[test]
    fn a_rule_for_the_header_brings_its_own_numbers() {
        let rules = ["slow-head=5@header".parse().unwrap()];
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(FAULT_HEADER),
            http::HeaderValue::from_static("slow-head"),
        )]);
        let target = Target { number: Some(1), headers: &headers, body: b"" };
        assert_eq!(choose(&rules, &target, "a", 0), Ok(Some(Fault::SlowHead { ms: 5 })));
        for wrong in ["reset@", "reset@every=0", "reset@chance=2", "reset@prompt=", "reset@sometimes"] {
            assert!(wrong.parse::<FaultRule>().is_err(), "{wrong}");
        }
    }
}
