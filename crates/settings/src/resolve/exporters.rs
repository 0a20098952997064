//! Where traces go: destinations of the file, else of the standard variables, else the terminal.

use std::path::PathBuf;
use std::time::Duration;

use super::environment::{self, Chooser};
use super::net;
use crate::check::models::Scheme;
use crate::check::observability::{
    Batch, ClientTls, Compression, ContentCapture, Destination, ExportRetry, Exporter, Otlp, Protocol,
    Semconv, StdoutFormat, TlsIdentity,
};
use crate::defaults;
use crate::load::Winner;
use crate::raw::observability as raw;
use crate::secret::Secret;

/// Standard variables come in two forms; the one for traces goes before the general one.
macro_rules! otlp_variables {
    ($name:literal) => {
        &[concat!("OTEL_EXPORTER_OTLP_TRACES_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
    };
}

/// Destinations in the order of the file. `content` holds where a destination does not say otherwise.
pub(super) fn resolve(
    raw: Option<raw::OneOrMany>,
    content: ContentCapture,
    chooser: &mut Chooser<'_>,
) -> Vec<Destination> {
    const PATH: &str = "observability.tracing.exporter";
    if raw.is_some() {
        chooser.note(&format!("{PATH}.type"), Winner::File);
    }
    match raw {
        Some(raw::OneOrMany::One(exporter)) => {
            destination(*exporter, PATH, content, chooser).into_iter().collect()
        }
        Some(raw::OneOrMany::Many(list)) => {
            let at = |index: usize| format!("{PATH}[{index}]");
            let list = list.into_iter().enumerate();
            list.filter_map(|(index, exporter)| destination(exporter, &at(index), content, chooser)).collect()
        }
        None => from_variables(PATH, content, chooser),
    }
}

/// `OTEL_TRACES_EXPORTER`; an OTLP endpoint in the environment switches OTLP on; else a tree on the terminal.
fn from_variables(path: &str, content: ContentCapture, chooser: &mut Chooser<'_>) -> Vec<Destination> {
    let setting = format!("{path}.type");
    let words = chooser.optional(&setting, None, &["OTEL_TRACES_EXPORTER"], traces_exporters);
    let has_endpoint =
        otlp_variables!("ENDPOINT").iter().any(|name| chooser.environment.filled(name).is_some());
    let exporters = match words {
        Some(words) => words,
        None if has_endpoint => {
            chooser.optional(&setting, None, otlp_variables!("ENDPOINT"), |_| Ok(()));
            vec![raw::Exporter { kind: Some(raw::ExporterType::Otlp), ..Default::default() }]
        }
        None => vec![raw::Exporter {
            kind: Some(raw::ExporterType::Stdout),
            format: Some(StdoutFormat::Tree),
            ..Default::default()
        }],
    };
    exporters.into_iter().filter_map(|exporter| destination(exporter, path, content, chooser)).collect()
}

fn traces_exporters(text: &str) -> Result<Vec<raw::Exporter>, String> {
    let mut exporters = Vec::new();
    for word in text.split(',').map(str::trim) {
        let kind = match word {
            "otlp" => raw::ExporterType::Otlp,
            "console" | "stdout" => raw::ExporterType::Stdout,
            "none" | "" => continue,
            _ => return Err("otlp, console or none".to_owned()),
        };
        exporters.push(raw::Exporter { kind: Some(kind), ..Default::default() });
    }
    Ok(exporters)
}

fn destination(
    raw: raw::Exporter,
    path: &str,
    content: ContentCapture,
    chooser: &mut Chooser<'_>,
) -> Option<Destination> {
    let kind = raw.kind.unwrap_or(if raw.endpoint.is_some() {
        raw::ExporterType::Otlp
    } else {
        raw::ExporterType::Stdout
    });
    let batch = batch(raw.batch.as_ref(), path, chooser);
    let semconv =
        raw.semconv.clone().unwrap_or_else(|| vec![Semconv::Router, Semconv::OpenInference, Semconv::GenAi]);
    if semconv.is_empty() {
        chooser
            .report
            .error(&format!("{path}.semconv"), "missing: at least one vocabulary; leave the key out for all");
    }
    let content = match raw.capture_content {
        Some(capture) => {
            let hidden = super::observability::hidden(chooser.environment);
            ContentCapture { inputs: capture && !hidden.inputs, outputs: capture && !hidden.outputs }
        }
        None => content,
    };
    let exporter = match kind {
        raw::ExporterType::Stdout => Exporter::Stdout(raw.format.unwrap_or(StdoutFormat::Json)),
        raw::ExporterType::Otlp => Exporter::Otlp(Box::new(otlp(raw, path, chooser)?)),
        raw::ExporterType::Embedded => {
            let message =
                "the embedded trace store is not available in this version: this destination is left out";
            chooser.report.warn(path, message);
            return None;
        }
    };
    Some(Destination { exporter, semconv, content, batch })
}

fn otlp(raw: raw::Exporter, path: &str, chooser: &mut Chooser<'_>) -> Option<Otlp> {
    let at = |key: &str| format!("{path}.{key}");
    let protocol = chooser.optional(&at("protocol"), raw.protocol, otlp_variables!("PROTOCOL"), protocol);
    let insecure =
        chooser.optional(&at("insecure"), raw.insecure, otlp_variables!("INSECURE"), environment::boolean);
    let (endpoint, protocol) = endpoint(raw.endpoint, insecure, protocol, path, chooser)?;
    let written =
        (!raw.headers.is_empty()).then(|| super::models::headers([&raw.headers], path, chooser.report));
    let headers = chooser.choose(&at("headers"), written, otlp_variables!("HEADERS"), headers, Vec::new());
    let timeout = chooser.choose(
        &at("timeout_ms"),
        raw.timeout_ms,
        otlp_variables!("TIMEOUT"),
        environment::positive,
        defaults::EXPORT_TIMEOUT_MS,
    );
    Some(Otlp {
        endpoint,
        protocol,
        headers,
        compression: chooser.choose(
            &at("compression"),
            raw.compression,
            otlp_variables!("COMPRESSION"),
            compression,
            Compression::None,
        ),
        timeout: Duration::from_millis(timeout),
        retry: retry(&raw.retry.unwrap_or_default()),
        tls: tls(raw.tls.unwrap_or_default(), path, chooser),
    })
}

fn headers(text: &str) -> Result<Vec<(String, Secret)>, String> {
    let valid = |(name, value): (String, String)| {
        let name = net::settable_header_name(&name).ok().filter(|_| net::is_header_value(&value));
        name.map(|name| (name, Secret::new(value)))
            .ok_or_else(|| "names and values that a header can have".to_owned())
    };
    environment::pairs(text)?.into_iter().map(valid).collect()
}

fn protocol(text: &str) -> Result<Protocol, String> {
    match text {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        _ => Err("grpc or http/protobuf".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "gzip" => Ok(Compression::Gzip),
        "none" => Ok(Compression::None),
        _ => Err("gzip or none".to_owned()),
    }
}

/// The complete URL, and the protocol that goes with it. A problem with the file is an error, with a variable a warning.
fn endpoint(
    written: Option<String>,
    insecure: Option<bool>,
    protocol: Option<Protocol>,
    path: &str,
    chooser: &mut Chooser<'_>,
) -> Option<(String, Protocol)> {
    let setting = format!("{path}.endpoint");
    let from_file = written.is_some();
    let for_traces = !from_file && chooser.environment.filled("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
    let parse = |text: &str| {
        complete(text, insecure).map(|_| text.to_owned()).map_err(|_| "host:port or a URL".to_owned())
    };
    let text = chooser.optional(&setting, written, otlp_variables!("ENDPOINT"), parse);
    let Some(text) = text else {
        return Some(match protocol.unwrap_or(Protocol::Grpc) {
            Protocol::Grpc => (defaults::OTLP_GRPC_ENDPOINT.to_owned(), Protocol::Grpc),
            Protocol::HttpProtobuf => (defaults::OTLP_HTTP_ENDPOINT.to_owned(), Protocol::HttpProtobuf),
        });
    };
    let url = match complete(&text, insecure) {
        Ok(url) => url,
        Err(message) => {
            chooser.report.error(&setting, message);
            return None;
        }
    };
    let guessed = !text.contains("://") && insecure.is_none();
    if guessed && !net::is_loopback(&url.host) {
        let message = "no scheme and no `insecure`: traces travel unencrypted; write `insecure: true` if that is meant, or \
                       `insecure: false` for TLS";
        chooser.report.warn(&setting, message);
    }
    let by_port = if url.port == 4318 { Protocol::HttpProtobuf } else { Protocol::Grpc };
    let protocol = protocol.unwrap_or(by_port);
    let base = render(&url);
    let trimmed = url.path.trim_end_matches('/');
    let rest = match protocol {
        Protocol::Grpc => String::new(),
        // The variable for traces is the whole address; the general one is where `/v1/traces` is appended.
        Protocol::HttpProtobuf if for_traces || (from_file && !trimmed.is_empty()) => url.path.clone(),
        Protocol::HttpProtobuf => format!("{trimmed}/v1/traces"),
    };
    Some((format!("{base}{rest}"), protocol))
}

/// A scheme always wins; without one, `insecure` says which, and plaintext is the default.
fn complete(text: &str, insecure: Option<bool>) -> Result<net::Url, String> {
    if text.contains("://") {
        return net::url(text);
    }
    let scheme = if insecure == Some(false) { "https" } else { "http" };
    if net::host_and_port(text.split('/').next().unwrap_or_default(), None).is_err() && !text.contains('@') {
        return Err("expected host:port or a URL, as in \"collector:4317\"".to_owned());
    }
    net::url(&format!("{scheme}://{text}"))
}

fn render(url: &net::Url) -> String {
    let scheme = url.scheme.as_str();
    let default = if url.scheme == Scheme::Http { 80 } else { 443 };
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    if url.port == default { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{}", url.port) }
}

fn retry(raw: &raw::Retry) -> ExportRetry {
    let backoff = raw.backoff_ms.unwrap_or(defaults::EXPORT_BACKOFF_MS);
    ExportRetry {
        attempts: raw.attempts.unwrap_or(defaults::EXPORT_ATTEMPTS),
        backoff: Duration::from_millis(backoff),
        max_backoff: Duration::from_millis(
            raw.max_backoff_ms.unwrap_or(defaults::EXPORT_MAX_BACKOFF_MS).max(backoff),
        ),
    }
}

fn batch(raw: Option<&raw::Batch>, path: &str, chooser: &mut Chooser<'_>) -> Batch {
    let at = |key: &str| format!("{path}.batch.{key}");
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let queue = chooser.choose(
        &at("queue"),
        raw.and_then(|batch| batch.queue),
        &["OTEL_BSP_MAX_QUEUE_SIZE"],
        environment::positive,
        defaults::BATCH_QUEUE,
    );
    let most = chooser.choose(
        &at("size"),
        raw.and_then(|batch| batch.size),
        &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"],
        environment::positive,
        defaults::BATCH_SIZE.min(queue),
    );
    let interval = chooser.choose(
        &at("interval_ms"),
        raw.and_then(|batch| batch.interval_ms),
        &["OTEL_BSP_SCHEDULE_DELAY"],
        environment::positive,
        defaults::BATCH_INTERVAL_MS,
    );
    if most > queue {
        let message = format!("one export ({most} spans) cannot take more than the queue holds ({queue})");
        chooser.report.error(&at("size"), message);
    }
    Batch { queue: size(queue), size: size(most), interval: Duration::from_millis(interval) }
}

fn tls(raw: raw::Tls, path: &str, chooser: &mut Chooser<'_>) -> ClientTls {
    let at = |key: &str| format!("{path}.tls.{key}");
    let ca = chooser.optional(&at("ca_file"), raw.ca_file, otlp_variables!("CERTIFICATE"), environment::text);
    let certificate = chooser.optional(
        &at("certificate_file"),
        raw.certificate_file,
        otlp_variables!("CLIENT_CERTIFICATE"),
        environment::text,
    );
    let key =
        chooser.optional(&at("key_file"), raw.key_file, otlp_variables!("CLIENT_KEY"), environment::text);
    if certificate.is_some() != key.is_some() {
        chooser.report.error(&format!("{path}.tls"), "mutual TLS needs both certificate_file and key_file");
    }
    let identity = certificate.zip(key).map(|(certificate, key)| TlsIdentity {
        certificate_file: PathBuf::from(certificate),
        key_file: PathBuf::from(key),
    });
    ClientTls { ca_file: ca.map(PathBuf::from), identity, server_name: raw.server_name }
}
