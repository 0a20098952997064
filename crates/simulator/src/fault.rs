//! The faults by name. What each does to an answer is in `plan.rs`; when it strikes is in `rule.rs`.

use std::str::FromStr;

use crate::ScriptError;

/// Every fault and every condition, as the help of the command shows them.
pub const FAULT_HELP: &str = include_str!("faults.md");

/// One way to fail. The written forms and defaults are in [`FAULT_HELP`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error answer.
    Status {
        /// The HTTP status code, 200 to 599.
        code: u16,
        /// The body; `None` makes an OpenAI error object.
        body: Option<String>,
        /// The value of `retry-after`, in seconds.
        retry_after: Option<u64>,
    },
    /// TCP RST before any byte.
    Reset,
    /// TCP RST after that many chunks.
    ResetAfter {
        /// Chunks sent before.
        chunks: usize,
    },
    /// The request is read and never answered.
    StallBeforeHead,
    /// The right answer, late.
    SlowHead {
        /// The delay, added to the script's own.
        ms: u64,
    },
    /// Silence after that many chunks.
    StallAfter {
        /// Chunks sent before.
        chunks: usize,
    },
    /// The connection closes inside the body.
    CutAfter {
        /// Chunks sent before.
        chunks: usize,
    },
    /// An error object inside the stream.
    ErrorAfter {
        /// Chunks sent before.
        chunks: usize,
    },
    /// Broken JSON with status 200.
    MalformedSse,
    /// A clean end in the middle of a chunk.
    HalfFrame,
    /// A web page with status 200.
    Html,
    /// An answer without an end.
    NeverEnds,
    /// A `content-length` that is too large.
    WrongContentLength,
    /// One very long line.
    HugeLine {
        /// Size of the line's text, at most 256 MiB.
        bytes: usize,
    },
    /// A stream without `[DONE]`.
    NoDone,
    /// Pieces of one byte.
    ByteByByte,
}

/// The written names, one for each variant of [`Fault`].
pub(crate) const NAMES: [&str; 16] = [
    "status",
    "reset",
    "reset-after",
    "stall-before-head",
    "slow-head",
    "stall-after",
    "cut-after",
    "error-after",
    "malformed",
    "half-frame",
    "html",
    "never-ends",
    "wrong-content-length",
    "huge-line",
    "no-done",
    "byte-by-byte",
];

const CHUNKS: u64 = 2;
const SLOW_HEAD_MS: u64 = 1_000;
const HUGE_LINE_BYTES: u64 = 8 << 20;
const HUGE_LINE_MAX_BYTES: u64 = 256 << 20;

impl Fault {
    /// The written name, without its number.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Reset => "reset",
            Self::ResetAfter { .. } => "reset-after",
            Self::StallBeforeHead => "stall-before-head",
            Self::SlowHead { .. } => "slow-head",
            Self::StallAfter { .. } => "stall-after",
            Self::CutAfter { .. } => "cut-after",
            Self::ErrorAfter { .. } => "error-after",
            Self::MalformedSse => "malformed",
            Self::HalfFrame => "half-frame",
            Self::Html => "html",
            Self::NeverEnds => "never-ends",
            Self::WrongContentLength => "wrong-content-length",
            Self::HugeLine { .. } => "huge-line",
            Self::NoDone => "no-done",
            Self::ByteByByte => "byte-by-byte",
        }
    }
}

impl FromStr for Fault {
    type Err = ScriptError;

    fn from_str(written: &str) -> Result<Self, ScriptError> {
        let (name, argument) = match written.trim().split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.trim())),
            None => (written.trim(), None),
        };
        if name == "status" {
            return status(written, argument);
        }
        let number = |default: u64| argument.map_or(Ok(default), |text| whole(written, text));
        let chunks = || number(CHUNKS).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let fault = match name {
            "reset-after" => return Ok(Self::ResetAfter { chunks: chunks()? }),
            "slow-head" => return Ok(Self::SlowHead { ms: number(SLOW_HEAD_MS)? }),
            "stall-after" => return Ok(Self::StallAfter { chunks: chunks()? }),
            "cut-after" => return Ok(Self::CutAfter { chunks: chunks()? }),
            "error-after" => return Ok(Self::ErrorAfter { chunks: chunks()? }),
            "huge-line" => {
                let bytes = number(HUGE_LINE_BYTES)?.min(HUGE_LINE_MAX_BYTES);
                return Ok(Self::HugeLine { bytes: usize::try_from(bytes).unwrap_or(usize::MAX) });
            }
            "reset" => Self::Reset,
            "stall-before-head" => Self::StallBeforeHead,
            "malformed" => Self::MalformedSse,
            "half-frame" => Self::HalfFrame,
            "html" => Self::Html,
            "never-ends" => Self::NeverEnds,
            "wrong-content-length" => Self::WrongContentLength,
            "no-done" => Self::NoDone,
            "byte-by-byte" => Self::ByteByByte,
            _ => {
                return Err(ScriptError::new(written, format!("no such fault; one of {}", NAMES.join(", "))));
            }
        };
        if argument.is_some() {
            return Err(ScriptError::new(written, format!("`{name}` takes no number")));
        }
        Ok(fault)
    }
}

fn status(written: &str, argument: Option<&str>) -> Result<Fault, ScriptError> {
    let mut parts = argument.unwrap_or("503").split(',');
    let code = whole(written, parts.next().unwrap_or_default())?;
    let Some(code) = u16::try_from(code).ok().filter(|code| (200..=599).contains(code)) else {
        return Err(ScriptError::new(written, "a status is between 200 and 599"));
    };
    let retry_after = match parts.next().map(|part| part.trim().strip_prefix("retry-after=")) {
        None => None,
        Some(Some(seconds)) => Some(whole(written, seconds)?),
        Some(None) => {
            return Err(ScriptError::new(written, "after the status only `retry-after=SECONDS` may come"));
        }
    };
    Ok(Fault::Status { code, body: None, retry_after })
}

/// A whole number, or an error that shows the text around it.
pub(crate) fn whole(written: &str, text: &str) -> Result<u64, ScriptError> {
    text.trim()
        .parse()
        .map_err(|_| ScriptError::new(written, format!("`{}` is not a whole number", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_the_fault_of_that_name_and_is_in_the_help() {
        for name in NAMES {
            let fault: Fault = name.parse().unwrap();
            assert_eq!(fault.name(), name);
            assert!(FAULT_HELP.contains(&format!("| `{name}")), "{name} is not in faults.md");
        }
    }

    #[test]
    fn arguments_are_read_and_nonsense_is_refused_with_a_reason() {
        let limited = Fault::Status { code: 429, body: None, retry_after: Some(2) };
        assert_eq!("status=429,retry-after=2".parse(), Ok(limited));
        assert_eq!(" cut-after = 7 ".parse(), Ok(Fault::CutAfter { chunks: 7 }));
        for wrong in ["", "boom", "status=99", "status=abc", "status=503,later=1", "reset=1", "slow-head=-1"]
        {
            let error = wrong.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
