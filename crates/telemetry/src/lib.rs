//! The exits of a record: OTLP, stdout, metrics, log lines.
