//! The choice between the file, a standard variable and the default; and which won.
//!
//! What it is not: `${VAR}` in the file, which is part of the file. Its invariant: the file beats the variable, the variable
//! beats the default, and a variable that cannot be read is a warning, as OpenTelemetry asks for.

use crate::environment::Environment;
use crate::load::{Origin, Winner};
use crate::report::Report;

/// Chooses values and notes where each came from.
pub(super) struct Chooser<'a> {
    pub environment: &'a Environment,
    pub report: &'a mut Report,
    pub origins: Vec<Origin>,
}

impl Chooser<'_> {
    /// What the file says, else the first of `variables` that `parse` understands, else `None`.
    ///
    /// `setting` is the path in the file; `parse` says in a few words what it expected.
    pub(super) fn optional<T>(
        &mut self,
        setting: &str,
        written: Option<T>,
        variables: &[&str],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if written.is_some() {
            self.note(setting, Winner::File);
            return written;
        }
        for name in variables {
            let Some(text) = self.environment.filled(name) else { continue };
            match parse(text) {
                Ok(value) => {
                    self.note(setting, Winner::Variable((*name).to_owned()));
                    return Some(value);
                }
                Err(expected) => {
                    let message = format!("the environment variable {name} is left out: expected {expected}");
                    self.report.warn(setting, message);
                }
            }
        }
        self.note(setting, Winner::Default);
        None
    }

    /// As [`Self::optional`], with a default.
    pub(super) fn choose<T>(
        &mut self,
        setting: &str,
        written: Option<T>,
        variables: &[&str],
        parse: impl Fn(&str) -> Result<T, String>,
        default: T,
    ) -> T {
        self.optional(setting, written, variables, parse).unwrap_or(default)
    }

    /// Notes who won; the last word about a setting counts.
    pub(super) fn note(&mut self, setting: &str, winner: Winner) {
        self.origins.retain(|origin| origin.setting != setting);
        self.origins.push(Origin { setting: setting.to_owned(), winner });
    }
}

/// Variables for metrics and logs, which are recognised and said to be unused.
pub(super) fn warn_of_unused(environment: &Environment, report: &mut Report) {
    const UNUSED: [&str; 8] = [
        "OTEL_EXPORTER_OTLP_LOGS_",
        "OTEL_EXPORTER_OTLP_METRICS_",
        "OTEL_LOGS_",
        "OTEL_METRICS_",
        "OTEL_METRIC_",
        "OTEL_BLRP_",
        "OTEL_EXPORTER_PROMETHEUS_",
        "OTEL_LOGRECORD_",
    ];
    let unused: Vec<&str> =
        environment.names().filter(|name| UNUSED.iter().any(|prefix| name.starts_with(prefix))).collect();
    if !unused.is_empty() {
        let message = format!(
            "recognised but unused, since metrics and logs are not sent by OTLP: {}",
            unused.join(", ")
        );
        report.warn("observability", message);
    }
}

pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(super) fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number = text.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| "a whole number".to_owned())
}

/// A whole number of at least 1.
pub(super) fn positive<T: TryFrom<u64> + PartialOrd + Default>(text: &str) -> Result<T, String> {
    let value: T = number(text)?;
    if value > T::default() { Ok(value) } else { Err("a whole number of at least 1".to_owned()) }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// `key=value,key=value`, percent-decoded, as `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_EXPORTER_OTLP_HEADERS` hold it.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let expected = || "key=value pairs with commas between them".to_owned();
    let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
    members
        .map(|member| {
            let (key, value) = member.split_once('=').ok_or_else(expected)?;
            let (key, value) = (percent_decode(key.trim()), percent_decode(value.trim()));
            key.filter(|key| !key.is_empty()).zip(value).ok_or_else(expected)
        })
        .collect()
}

/// `None` where what follows a `%` is not two hexadecimal digits, or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{boolean, pairs, positive};

    #[test]
    fn pairs_are_decoded() {
        let parsed = pairs("a=1, b=x%2Cy ,").expect("valid");
        assert_eq!(parsed, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x,y".to_owned())]);
        assert!(pairs("a").is_err());
        assert!(pairs("a=%zz").is_err());
        assert!(pairs("a=%+1").is_err());
        assert!(pairs("=1").is_err());
    }

    #[test]
    fn numbers_and_switches() {
        assert_eq!(positive::<usize>("5"), Ok(5));
        assert!(positive::<usize>("0").is_err());
        assert!(positive::<u32>("-1").is_err());
        assert_eq!(boolean("True"), Ok(true));
        assert!(boolean("yes").is_err());
    }
}
