//! Log lines on stderr, as text or as JSON, and one access line per finished request.
//!
//! Lines about a request name it by the fields `trace_id` and `span_id`; in JSON every line has
//! `service.name`. Every text passes the redaction of [`trace::Text`], so that a credential in somebody
//! else's error message does not end up in a log.

mod access;
mod format;

pub use access::AccessLog;
use format::{Json, Plain};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::stdout::{Colour, Style};

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Their form.
    pub format: LogFormat,
    /// Which lines: `info`, `warn,gateway=debug`, as `tracing-subscriber` reads it.
    pub filter: String,
    /// `service.name` of the JSON form.
    pub service_name: String,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "the log filter `{filter}` cannot be read: {reason}; write a level such as `info`, or `info,module=debug`"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something else logs in this process already.
    #[error("logging is set up already in this process; this is a bug of the router")]
    Twice,
}

/// Makes all log lines of this process go to stderr. Once per process.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let colour = Style::for_stream(&std::io::stderr()).colour;
    let subscriber = subscriber(config, std::io::stderr, colour)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)
}

/// A subscriber that writes to `writer`, for tests and tools.
pub fn subscriber<W>(
    config: &LogConfig,
    writer: W,
    colour: Colour,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>, LogError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|error| LogError::Filter { filter: config.filter.clone(), reason: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match config.format {
        LogFormat::Text => Box::new(builder.event_format(Plain { colour }).finish()),
        LogFormat::Json => {
            Box::new(builder.event_format(Json { service_name: config.service_name.clone() }).finish())
        }
    })
}
