//! The files in `tests/fixtures`, and short ways to make requests.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use dialects::Dialect;
use dialects::request::ParsedRequest;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn answer(name: &str) -> Bytes {
    std::fs::read(folder("answers").join(name)).unwrap().into()
}

/// Every request fixture with its name and dialect.
pub(crate) fn requests() -> Vec<(String, Dialect, Bytes)> {
    let entries = std::fs::read_dir(folder("requests")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let read = |name: String| {
        let dialect = match &name {
            name if name.contains("-completion") => Dialect::Completions,
            name if name.contains("-embeddings") => Dialect::Embeddings,
            _ => Dialect::ChatCompletions,
        };
        let body = std::fs::read(folder("requests").join(&name)).unwrap();
        (name, dialect, Bytes::from(body))
    };
    names.into_iter().map(read).collect()
}

pub(crate) fn request(name: &str) -> ParsedRequest {
    let found = requests().into_iter().find(|(known, ..)| known == name);
    let (_, dialect, body) = found.unwrap_or_else(|| panic!("no fixture {name}"));
    ParsedRequest::parse(dialect, body).unwrap()
}

pub(crate) fn chat(body: &str) -> ParsedRequest {
    ParsedRequest::parse(Dialect::ChatCompletions, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}
