//! The span tree as people read it: a line for the request, a branch for each span, its findings as leaves.
//!
//! Children stand in the order in which they were recorded, which is fixed where stages ran side by side, so
//! that the tree of a request is the same each time. With [`Style::SNAPSHOT`] nothing of it varies.

use std::io::IsTerminal;

use trace::finding::Finding;
use trace::{Door, EventKind, ROOT_SPAN_NAME, Record, Span, SpanStatus, TraceId};

use super::facts;

/// Whether the text carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI escapes.
    Always,
}

/// Whether something that differs from run to run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// As it is.
    Shown,
    /// As `_`.
    Masked,
}

/// How a tree looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colours.
    pub colour: Colour,
    /// Durations and ages.
    pub times: Show,
    /// Trace ids.
    pub ids: Show,
    /// Addresses of endpoints.
    pub addresses: Show,
    /// Numbers of attempts.
    pub attempts: Show,
}

impl Style {
    /// Everything, without colours.
    pub const PLAIN: Style = Style {
        colour: Colour::Never,
        times: Show::Shown,
        ids: Show::Shown,
        addresses: Show::Shown,
        attempts: Show::Shown,
    };

    /// Only what is the same in each run of the same request.
    pub const SNAPSHOT: Style = Style {
        colour: Colour::Never,
        times: Show::Masked,
        ids: Show::Masked,
        addresses: Show::Masked,
        attempts: Show::Masked,
    };

    /// Everything, in colours if the stream is a terminal and `NO_COLOR` (<https://no-color.org>) is not set.
    pub fn for_stream(stream: &impl IsTerminal) -> Style {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = if stream.is_terminal() && !refused { Colour::Always } else { Colour::Never };
        Style { colour, ..Style::PLAIN }
    }

    pub(super) fn duration(self, ns: u64) -> String {
        if self.times == Show::Masked {
            return "_".to_owned();
        }
        match ns {
            0..1_000_000 => format!("{}µs", ns / 1000),
            1_000_000..10_000_000 => format!("{:.1}ms", trace::semconv::milliseconds(ns)),
            10_000_000..10_000_000_000 => format!("{}ms", ns / 1_000_000),
            _ => format!("{:.1}s", trace::semconv::milliseconds(ns) / 1e3),
        }
    }

    pub(super) fn trace_id(self, id: TraceId) -> String {
        self.masked(self.ids, || id.to_string())
    }

    pub(super) fn address(self, address: &str) -> String {
        self.masked(self.addresses, || address.to_owned())
    }

    pub(super) fn attempt(self, attempt: u32) -> String {
        self.masked(self.attempts, || attempt.to_string())
    }

    fn masked(self, show: Show, text: impl FnOnce() -> String) -> String {
        match show {
            Show::Shown => text(),
            Show::Masked => "_".to_owned(),
        }
    }

    fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if self.colour == Colour::Never || text.is_empty() => return text.to_owned(),
            Paint::Bold => 1,
            Paint::Dim => 2,
            Paint::Red => 31,
            Paint::Green => 32,
            Paint::Cyan => 36,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[derive(Clone, Copy)]
enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Cyan,
}

/// A record as a tree under the line of its request; ends with a line end.
pub fn tree(record: &Record, style: Style) -> String {
    request_line(record, style) + &branches(record, style)
}

/// The tree alone, for a record that no request made.
pub fn branches(record: &Record, style: Style) -> String {
    let mut text = String::new();
    let root = style.paint(Paint::Bold, ROOT_SPAN_NAME);
    text.push_str(&format!("{root} {}\n", length(record.duration_ns, style)));
    let leaves = root_leaves(record, style);
    let mut left = record.spans().len() + leaves.len();
    for span in record.spans() {
        left -= 1;
        branch(&mut text, span, if left == 0 { Place::Last } else { Place::Before }, record, style);
    }
    for leaf in leaves {
        left -= 1;
        let place = if left == 0 { Place::Last } else { Place::Before };
        text.push_str(&format!("{}{leaf}\n", style.paint(Paint::Dim, place.fork())));
    }
    text
}

/// Where a line stands among its sisters.
#[derive(Clone, Copy)]
enum Place {
    Before,
    Last,
}

impl Place {
    fn fork(self) -> &'static str {
        match self {
            Place::Before => "├─ ",
            Place::Last => "└─ ",
        }
    }

    fn below(self) -> &'static str {
        match self {
            Place::Before => "│  ",
            Place::Last => "   ",
        }
    }
}

/// `POST /v1/chat/completions → 200 · llama-3.1-70b · 812ms · trace …`
fn request_line(record: &Record, style: Style) -> String {
    let request = &record.request;
    let passed = request.door == Door::ExtProc && record.events.is_empty();
    let unknown = if passed { "passed on" } else { "no answer" };
    let status = record.http_status.map_or_else(|| unknown.to_owned(), |status| status.to_string());
    let code = record.fault.as_ref().map(|fault| fault.kind.as_ref()).or(record.refusal);
    let outcome = match code {
        // A backend's own error has no word of ours beside its status.
        Some(code) if code != status => format!("{status} {code}"),
        _ => status,
    };
    let paint = if code.is_some() || record.http_status.is_none() { Paint::Red } else { Paint::Green };
    let mut parts = vec![style.paint(paint, &outcome)];
    parts.extend(model(record).map(|model| style.paint(Paint::Cyan, &model)));
    parts.extend(record.refused_by.as_ref().map(|decision| format!("by {decision}")));
    parts.push(style.duration(record.duration_ns));
    parts.push(style.paint(Paint::Dim, &format!("trace {}", style.trace_id(record.trace_id))));
    format!("{} {} → {}\n", request.method, request.path, parts.join(" · "))
}

/// The model that answered: of the last attempt, else the one chosen.
pub(crate) fn model(record: &Record) -> Option<String> {
    let called = |span: &Span| match &span.finding {
        Finding::UpstreamRequest(call) => Some(call.model.to_string()),
        _ => None,
    };
    let chosen = |span: &Span| match &span.finding {
        Finding::RoutingDecision(decision) => decision.selected_model.as_deref().map(str::to_owned),
        _ => None,
    };
    let spans = record.spans();
    spans.iter().rev().find_map(called).or_else(|| spans.iter().find_map(chosen))
}

fn length(ns: u64, style: Style) -> String {
    style.paint(Paint::Dim, &format!("[{}]", style.duration(ns)))
}

fn branch(text: &mut String, span: &Span, place: Place, record: &Record, style: Style) {
    let fork = style.paint(Paint::Dim, place.fork());
    let failed = span.status != SpanStatus::Unset || span.failure.is_some();
    let name = style.paint(if failed { Paint::Red } else { Paint::Cyan }, span.stage.span_name());
    let cancelled = if span.cancelled { " cancelled" } else { "" };
    text.push_str(&format!("{fork}{name} {}{cancelled}\n", length(span.duration_ns(), style)));
    let facts = facts::of(span, record, style);
    let last = facts.len().saturating_sub(1);
    for (position, fact) in facts.iter().enumerate() {
        let twig = if position == last { Place::Last } else { Place::Before };
        let lead = style.paint(Paint::Dim, &format!("{}{}", place.below(), twig.fork()));
        text.push_str(&format!("{lead}{fact}\n"));
    }
}

/// What happened to the request as a whole.
fn root_leaves(record: &Record, style: Style) -> Vec<String> {
    let mut leaves = Vec::new();
    for event in &record.events {
        match &event.kind {
            EventKind::ClientDisconnected => {
                leaves.push(format!("client disconnected after {}", style.duration(event.at_ns)));
            }
            EventKind::CutShort => {
                let after = style.duration(event.at_ns);
                leaves.push(format!("cut short by the client or the backend after {after}"));
            }
            EventKind::UpstreamRetry { reason } => leaves.push(format!("retry: {reason}")),
            // The fault below says the same.
            EventKind::FirstToken | EventKind::Exception { .. } => {}
        }
    }
    if let Some(fault) = &record.fault {
        leaves.push(style.paint(Paint::Red, &format!("{}: {}", fault.kind, fault.description)));
    }
    leaves
}
