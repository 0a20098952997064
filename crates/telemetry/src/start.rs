//! From a list of exporters to running exits.

use std::io::Write;
use std::sync::Arc;

use crate::log::AccessLog;
use crate::metrics::Metrics;
use crate::otlp::{self, Otlp};
use crate::stdout::{Form, Layout, Style, Terminal};
use crate::{Batch, Exits, Resource, StartError, View, Wants};

/// One configured destination of traces. Each gets those that sampling has chosen.
pub enum Exporter {
    /// A collector.
    Otlp {
        /// How to reach it.
        config: Box<otlp::Config>,
        /// How records are gathered.
        batch: Batch,
    },
    /// This process's stdout, or whatever stands for it.
    Stdout {
        /// The form.
        format: StdoutFormat,
        /// What it gets of each record, in the JSON forms.
        view: View,
        /// How records are gathered; [`Batch::TERMINAL`] unless set.
        batch: Batch,
        /// Where to.
        writer: Box<dyn Write + Send>,
    },
}

/// The words of `format` for stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdoutFormat {
    /// One object per span and line.
    Json,
    /// The same, indented.
    Pretty,
    /// The span tree.
    Tree(Style),
}

/// Whether each finished request leaves a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLines {
    /// It does.
    #[default]
    On,
    /// It does not.
    Off,
}

impl Exporter {
    /// Value of `exporter.type`, which also labels its metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Exporter::Otlp { .. } => "otlp",
            Exporter::Stdout { .. } => "stdout",
        }
    }
}

/// Starts every exporter on a thread of its own, and says so in the log.
pub fn start(
    metrics: Arc<Metrics>,
    resource: &Resource,
    exporters: Vec<Exporter>,
    access: AccessLines,
) -> Result<Exits, StartError> {
    let mut exits = Exits::new(metrics);
    if access == AccessLines::On {
        exits.add("access_log", Wants::All, Batch::TERMINAL, AccessLog)?;
    }
    for exporter in exporters {
        let kind = exporter.kind();
        match exporter {
            Exporter::Otlp { config, batch } => {
                warn_of_plaintext(&config);
                exits.add(kind, Wants::Sampled, batch, Otlp::new(&config, resource.clone())?)?;
            }
            Exporter::Stdout { format, view, batch, writer } => {
                let form = form(format, resource, view);
                exits.add(kind, Wants::Sampled, batch, Terminal::new(form, writer))?;
            }
        }
        tracing::info!("Distributed tracing initialized (provider: opentelemetry, exporter: {kind})");
    }
    Ok(exits)
}

fn form(format: StdoutFormat, resource: &Resource, view: View) -> Form {
    let layout = match format {
        StdoutFormat::Tree(style) => return Form::Tree(style),
        StdoutFormat::Json => Layout::Line,
        StdoutFormat::Pretty => Layout::Pretty,
    };
    Form::Json { layout, resource: resource.clone(), view }
}

fn warn_of_plaintext(config: &otlp::Config) {
    if config.endpoint.is_assumed_plaintext() {
        tracing::warn!(
            endpoint = config.endpoint.authority(),
            "traces leave this machine unencrypted: set `insecure: true` to say that this is meant, \
             or `insecure: false` for TLS"
        );
    }
}
