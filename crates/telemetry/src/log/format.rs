//! The two forms of a log line.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::stdout::Colour;
use crate::time::rfc3339;

/// `2024-05-01T12:00:00.000Z  INFO message key=value …`
pub(super) struct Plain {
    pub(super) colour: Colour,
}

/// `{"timestamp":…,"level":…,"message":…,"service.name":…,…}`
pub(super) struct Json {
    pub(super) service_name: String,
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let fields = Fields::of(event);
        let level = event.metadata().level();
        match self.colour {
            Colour::Never => write!(out, "{} {level:>5} {}", now(), fields.message)?,
            Colour::Always => {
                write!(out, "{} \u{1b}[{}m{level:>5}\u{1b}[0m {}", now(), colour_of(*level), fields.message)?;
            }
        }
        for (name, value) in &fields.others {
            match value {
                Value::String(text) if text.contains([' ', '"', '=']) || text.is_empty() => {
                    write!(out, " {name}={text:?}")?;
                }
                Value::String(text) => write!(out, " {name}={text}")?,
                other => write!(out, " {name}={other}")?,
            }
        }
        writeln!(out)
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let fields = Fields::of(event);
        let metadata = event.metadata();
        let line = Line {
            standard: [
                ("timestamp", &now()),
                ("level", metadata.level().as_str()),
                ("target", metadata.target()),
                ("message", &fields.message),
                ("service.name", &self.service_name),
            ],
            others: &fields.others,
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(out, "{line}")
    }
}

/// What every line has, then the event's own fields.
struct Line<'a> {
    standard: [(&'static str, &'a str); 5],
    others: &'a [(String, Value)],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.standard {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in self.others {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn colour_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 2,
    }
}

/// Now, to the millisecond.
fn now() -> String {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut text = rfc3339(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX));
    // Drops micro- and nanoseconds.
    text.truncate(text.len() - "000000Z".len());
    text.push('Z');
    text
}

/// An event's message and its other fields, redacted, in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(String, Value)>,
}

impl Fields {
    fn of(event: &Event<'_>) -> Fields {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        if write!(text, "{value:?}").is_ok() {
            self.put(field, trace::redact(&text).into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, trace::redact(value).into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, trace::redact(&value.to_string()).into());
    }
}
