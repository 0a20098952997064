//! From checked settings to the exits of traces, metrics and log lines.

use std::sync::Arc;

use gateway::tracing_policy::{CustomAttributes, TracingPolicy, TrustIncoming};
use pipeline::policy::Policy;
use settings::Settings;
use settings::check::observability as setting;
use telemetry::log::{LogConfig, LogFormat};
use telemetry::metrics::{LegacyNames, Metrics, Names};
use telemetry::otlp;
use telemetry::stdout::Style;
use telemetry::{AccessLines, Batch, Exits, Exporter, Limits, Resource, StdoutFormat, View};
use trace::content::Capture;
use trace::propagation::{Propagator, Propagators};
use trace::sampling::{AdaptiveRate, KeepRules, Sampler, UnsampledParent};
use trace::semconv::Vocabularies;
use trace::{SentContext, Text};

/// The environment variable that overrides the log level, as programs in Rust know it.
const LOG_FILTER_VARIABLE: &str = "RUST_LOG";

/// Sets up log lines; the first thing that a serving process does after its settings are read.
pub(crate) fn start_logging(settings: &Settings) -> Result<(), String> {
    let logs = &settings.observability.logs;
    let level = match logs.level {
        setting::LogLevel::Off => "off",
        setting::LogLevel::Error => "error",
        setting::LogLevel::Warn => "warn",
        setting::LogLevel::Info => "info",
        setting::LogLevel::Debug => "debug",
        setting::LogLevel::Trace => "trace",
    };
    let config = LogConfig {
        format: match logs.format {
            setting::LogFormat::Text => LogFormat::Text,
            setting::LogFormat::Json => LogFormat::Json,
        },
        filter: std::env::var(LOG_FILTER_VARIABLE).unwrap_or_else(|_| level.to_owned()),
        service_name: settings.observability.tracing.resource.service_name.clone(),
    };
    telemetry::log::init(&config).map_err(|error| error.to_string())
}

/// Metrics that know the names of a policy.
pub(crate) fn metrics(settings: &Settings, policy: &Policy) -> Arc<Metrics> {
    let service = &settings.observability.tracing.resource.service_name;
    let names = Names { service, routes: &gateway::http::ROUTES, error_types: ERROR_TYPES };
    let legacy = if settings.observability.metrics.legacy { LegacyNames::Kept } else { LegacyNames::Off };
    let metrics = Arc::new(Metrics::new(&names, legacy));
    learn(&metrics, policy);
    metrics
}

/// Makes the names of a policy label values, at the start and after a reload.
pub(crate) fn learn(metrics: &Metrics, policy: &Policy) {
    let models = policy.models.iter().flat_map(|model| [&*model.name, &*model.upstream_name]);
    metrics.learn(models, inference::domain::Domain::ALL.iter().map(|domain| domain.as_str()));
}

/// Starts every destination of traces.
pub(crate) fn start(
    settings: &Settings,
    metrics: Arc<Metrics>,
    access: AccessLines,
) -> Result<Exits, String> {
    let tracing = &settings.observability.tracing;
    let resource = resource(&tracing.resource);
    let mut exporters = Vec::new();
    if tracing.enabled {
        for destination in &tracing.destinations {
            exporters.push(exporter(destination, tracing.limits)?);
        }
    }
    telemetry::start(metrics, &resource, exporters, access).map_err(|error| error.to_string())
}

/// How traces begin.
pub(crate) fn tracing_policy(settings: &Settings) -> TracingPolicy {
    let sampling = &settings.observability.tracing.sampling;
    let sampler = match sampling.head {
        _ if !settings.observability.tracing.enabled => Sampler::AlwaysOff,
        setting::Head::AlwaysOn => Sampler::AlwaysOn,
        setting::Head::AlwaysOff => Sampler::AlwaysOff,
        setting::Head::Probabilistic(rate) => Sampler::Probabilistic { rate },
        setting::Head::Adaptive(target) => Sampler::Adaptive(Arc::new(AdaptiveRate::new(target))),
    };
    let unsampled_parent = match sampling.parent_not_sampled {
        setting::ParentNotSampled::Respect => UnsampledParent::Respect,
        setting::ParentNotSampled::Ignore => UnsampledParent::Ignore,
    };
    let trust_incoming = match settings.observability.tracing.trust_incoming {
        setting::TrustIncoming::Parent => TrustIncoming::Parent,
        setting::TrustIncoming::Link => TrustIncoming::Link,
        setting::TrustIncoming::Ignore => TrustIncoming::Ignore,
    };
    TracingPolicy {
        sampler,
        unsampled_parent,
        trust_incoming,
        propagators: propagators(&settings.observability.tracing.propagators),
        sends: if settings.observability.tracing.enabled { SentContext::Ours } else { SentContext::Callers },
        keep: keep(&sampling.keep),
        capture: wanted(&settings.observability.tracing),
        attributes: Arc::new(attributes(&settings.observability.tracing.attributes)),
    }
}

/// What of prompts and answers some destination wants.
fn wanted(tracing: &setting::Tracing) -> Capture {
    let destinations = tracing.destinations.iter().filter(|_| tracing.enabled);
    destinations.fold(Capture::NOTHING, |wanted, destination| wanted.or(capture(destination)))
}

fn capture(destination: &setting::Destination) -> Capture {
    let setting::ContentCapture { inputs, outputs } = destination.content;
    Capture { inputs, outputs }
}

fn propagators(formats: &[setting::Propagator]) -> Propagators {
    let formats: Vec<Propagator> = formats
        .iter()
        .map(|format| match format {
            setting::Propagator::TraceContext => Propagator::TraceContext,
            setting::Propagator::Baggage => Propagator::Baggage,
            setting::Propagator::B3 => Propagator::B3,
            setting::Propagator::B3Multi => Propagator::B3Multi,
            setting::Propagator::Jaeger => Propagator::Jaeger,
        })
        .collect();
    Propagators::new(&formats)
}

fn keep(keep: &setting::Keep) -> Option<Arc<KeepRules>> {
    (*keep != setting::Keep::default()).then(|| {
        Arc::new(KeepRules {
            errors: keep.errors,
            blocked: keep.blocked,
            slow: keep.slow,
            retries: keep.retries,
            cache_misses: keep.cache_misses,
            attributes: pairs(&keep.attributes),
        })
    })
}

fn attributes(mapping: &setting::AttributeMapping) -> CustomAttributes {
    let constants = mapping.constants.iter();
    CustomAttributes {
        headers: pairs(&mapping.headers),
        metadata: pairs(&mapping.metadata),
        constants: constants
            .map(|(key, value)| (Arc::from(key.as_str()), Text::trusted(value.as_str())))
            .collect(),
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<(Arc<str>, Arc<str>)> {
    pairs.iter().map(|(key, value)| (Arc::from(key.as_str()), Arc::from(value.as_str()))).collect()
}

fn resource(setting: &setting::Resource) -> Resource {
    let instance = setting.service_instance_id.clone().unwrap_or_else(|| trace::SpanId::random().to_string());
    let mut resource = Resource::new(setting.service_name.clone())
        .version(setting.service_version.clone())
        .instance(instance)
        .environment(setting.deployment_environment.clone());
    for (key, value) in &setting.attributes {
        resource = resource.attribute(key.clone(), value.clone());
    }
    resource
}

fn exporter(destination: &setting::Destination, limits: setting::SpanLimits) -> Result<Exporter, String> {
    let vocabularies = Vocabularies {
        openinference: destination.semconv.contains(&setting::Semconv::OpenInference),
        genai: destination.semconv.contains(&setting::Semconv::GenAi),
    };
    let setting::SpanLimits { attributes, events, links, attribute_bytes } = limits;
    let limits = Limits { attributes, events, links, attribute_bytes };
    let view = View { vocabularies, content: capture(destination), limits };
    Ok(match &destination.exporter {
        setting::Exporter::Otlp(otlp) => {
            Exporter::Otlp { config: Box::new(otlp_config(otlp, view)?), batch: batch(&destination.batch) }
        }
        setting::Exporter::Stdout(format) => Exporter::Stdout {
            format: match format {
                setting::StdoutFormat::Json => StdoutFormat::Json,
                setting::StdoutFormat::Pretty => StdoutFormat::Pretty,
                setting::StdoutFormat::Tree => StdoutFormat::Tree(Style::for_stream(&std::io::stdout())),
            },
            view,
            batch: Batch::TERMINAL,
            writer: Box::new(std::io::stdout()),
        },
    })
}

fn batch(setting: &setting::Batch) -> Batch {
    Batch { queue_records: setting.queue, size_spans: setting.size, interval: setting.interval }
}

fn otlp_config(setting: &setting::Otlp, view: View) -> Result<otlp::Config, String> {
    let (protocol, port) = match setting.protocol {
        setting::Protocol::Grpc => (otlp::Protocol::Grpc, otlp::GRPC_PORT),
        setting::Protocol::HttpProtobuf => (otlp::Protocol::HttpProtobuf, otlp::HTTP_PORT),
    };
    let endpoint = otlp::Endpoint::parse(&setting.endpoint, None, port).map_err(|error| error.to_string())?;
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    let identity = setting.tls.identity.as_ref().map(|identity| {
        Ok::<_, String>(otlp::Identity {
            certificate_pem: read(&identity.certificate_file)?,
            key_pem: read(&identity.key_file)?,
        })
    });
    Ok(otlp::Config {
        headers: setting
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
            .collect(),
        compression: match setting.compression {
            setting::Compression::Gzip => otlp::Compression::Gzip,
            setting::Compression::None => otlp::Compression::None,
        },
        timeout: setting.timeout,
        retry: otlp::Retry {
            attempts: setting.retry.attempts,
            initial: setting.retry.backoff,
            longest: setting.retry.max_backoff,
        },
        tls: otlp::Tls {
            authorities_pem: setting.tls.ca_file.as_ref().map(read).transpose()?,
            identity: identity.transpose()?,
            server_name: setting.tls.server_name.clone(),
        },
        view,
        protocol,
        endpoint,
    })
}

/// Values of `error.type` that the router itself gives, so that metrics know them.
const ERROR_TYPES: &[&str] = &[
    "invalid_json",
    "invalid_request",
    "invalid_api_key",
    "jailbreak_detected",
    "pii_blocked",
    "request_blocked",
    "model_not_allowed",
    "model_not_found",
    "not_found",
    "request_timeout",
    "request_too_large",
    "rate_limited",
    "over_capacity",
    "upstream_invalid",
    "upstream_unreachable",
    "no_backend",
    "upstream_timeout",
    "internal",
    "panic",
    "unreachable",
    "connect_timeout",
    "first_token_timeout",
    "idle_timeout",
    "total_timeout",
    "connection_reset",
    "invalid_answer",
    "stream_error",
];
