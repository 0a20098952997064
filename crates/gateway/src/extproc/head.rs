//! The head of a request or of an answer, as Envoy's messages carry it.

use std::borrow::Cow;

use dialects::Dialect;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::ext_proc::v3::HttpHeaders;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) headers: HeaderMap,
    pub(super) method: Method,
    /// `:path` as it came, with its query.
    pub(super) target: String,
    pub(super) scheme: &'static str,
    /// Whether no body follows.
    pub(super) is_all: bool,
}

/// What a path is to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An API that is routed.
    Api(Dialect),
    /// An API that carries prompts and is not known in this version.
    UnknownApi(&'static str),
    /// None of ours.
    Elsewhere,
}

/// APIs that carry prompts in a form that this version cannot read.
const UNKNOWN_APIS: [&str; 2] = ["/v1/responses", "/v1/messages"];

/// How often a path is unescaped: whoever is behind us may do it once more than Envoy.
const MAX_UNESCAPES: usize = 3;

impl Head {
    /// A head that nobody showed.
    pub(super) fn unseen() -> Head {
        Head {
            headers: HeaderMap::new(),
            // None that HTTP defines: which one it was is not known.
            method: Method::from_bytes(b"UNSEEN").unwrap_or_default(),
            target: String::new(),
            scheme: "http",
            is_all: false,
        }
    }

    pub(super) fn read(message: &HttpHeaders) -> Head {
        let mut head = Head { is_all: message.end_of_stream, ..Head::unseen() };
        for line in lines(message) {
            match line.key.as_str() {
                ":method" => head.method = Method::from_bytes(value(line)).unwrap_or_default(),
                ":path" => head.target = String::from_utf8_lossy(value(line)).into_owned(),
                ":scheme" if value(line) == b"https" => head.scheme = "https",
                _ => append(&mut head.headers, line),
            }
        }
        head
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    /// What the path is to the router. Spellings that another server may take for the same path count as the same, so that
    /// none of them goes round the checks.
    pub(super) fn place(&self) -> Place {
        let path = plain(self.path());
        if let Some(dialect) = Dialect::ALL.into_iter().find(|dialect| *path == *dialect.path()) {
            return Place::Api(dialect);
        }
        match UNKNOWN_APIS.into_iter().find(|api| *path == **api) {
            Some(api) => Place::UnknownApi(api),
            None => Place::Elsewhere,
        }
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct AnswerLines {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Whether no body follows.
    pub(super) is_all: bool,
}

impl AnswerLines {
    /// Reads the head; a status that is none counts as 502, since nobody can be told of it.
    pub(super) fn read(message: &HttpHeaders) -> AnswerLines {
        let mut head = AnswerLines { status: 502, headers: HeaderMap::new(), is_all: message.end_of_stream };
        for line in lines(message) {
            if line.key == ":status" {
                let status = std::str::from_utf8(value(line)).ok().and_then(|status| status.parse().ok());
                head.status = status.unwrap_or(head.status);
            } else {
                append(&mut head.headers, line);
            }
        }
        head
    }
}

fn lines(message: &HttpHeaders) -> impl Iterator<Item = &core::HeaderValue> {
    message.headers.iter().flat_map(|map| &map.headers)
}

/// Envoy sends raw bytes; others fill the text.
fn value(line: &core::HeaderValue) -> &[u8] {
    if line.raw_value.is_empty() { line.value.as_bytes() } else { &line.raw_value }
}

/// A line that fits into no header is not there; other pseudo-headers are Envoy's business.
fn append(headers: &mut HeaderMap, line: &core::HeaderValue) {
    let name = HeaderName::from_bytes(line.key.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value(line))) {
        headers.append(name, value);
    }
}

/// A path in one spelling: unescaped, without empty and dot segments, in lower case, without a slash at its end.
fn plain(path: &str) -> String {
    let mut text = Cow::Borrowed(path);
    for _ in 0..MAX_UNESCAPES {
        match unescaped(&text) {
            Some(shorter) => text = Cow::Owned(shorter),
            None => break,
        }
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split(['/', '\\']) {
        // What follows a semicolon are parameters of the segment, which some servers take off.
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/")).to_ascii_lowercase()
}

/// Without its escapes of printable characters; `None` if it has none.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut position = 0;
    while let Some(byte) = bytes.get(position) {
        let escaped = (*byte == b'%')
            .then(|| text.get(position + 1..position + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(u8::is_ascii_graphic);
        out.push(escaped.unwrap_or(*byte));
        position += if escaped.is_some() { 3 } else { 1 };
    }
    (out.len() < bytes.len()).then(|| String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(target: &str) -> Place {
        let line = core::HeaderValue {
            key: ":path".to_owned(),
            raw_value: target.as_bytes().to_vec(),
            ..Default::default()
        };
        let headers = Some(core::HeaderMap { headers: vec![line] });
        Head::read(&HttpHeaders { headers, ..Default::default() }).place()
    }

    #[test]
    fn other_spellings_of_a_path_are_the_same_path() {
        for target in [
            "/v1/chat/completions",
            "/v1/chat/completions?beta=1",
            "/v1/chat/completions/",
            "//v1//chat/completions",
            "/v1/./chat/../chat/completions",
            "/v1/%63hat/completions",
            "/v1/%2563hat/completions",
            "/v1/chat%2Fcompletions",
            "/V1/Chat/Completions",
            "/v1;a=b/chat/completions",
            "\\v1\\chat\\completions",
        ] {
            assert_eq!(place(target), Place::Api(Dialect::ChatCompletions), "{target}");
        }
        assert_eq!(place("/v1/embeddings"), Place::Api(Dialect::Embeddings));
        assert_eq!(place("/v1/responses/"), Place::UnknownApi("/v1/responses"));
        for target in ["/", "", "/v1/models", "/v1/chat/completions/more", "/health", "%"] {
            assert_eq!(place(target), Place::Elsewhere, "{target}");
        }
    }
}
