//! Who may call, and how much.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{models, net};
use crate::check::access::{Access, AccessMode, ApiKey, Limits};
use crate::check::models::Model;
use crate::defaults;
use crate::raw::access as raw;
use crate::report::Report;

pub(super) fn resolve(raw: Option<raw::Access>, known: &[Model], report: &mut Report) -> Access {
    let block = match raw {
        None => raw::AccessBlock::default(),
        Some(raw::Access::Word(mode)) => raw::AccessBlock { mode: Some(mode), ..Default::default() },
        Some(raw::Access::Block(block)) => *block,
    };
    if block.rates.is_some() {
        report.error("access.rates", "rate, token and cost limits are not available in this version");
    }
    let mode = match block.mode {
        Some(raw::AccessMode::Open) => AccessMode::Open,
        Some(raw::AccessMode::Keys) => AccessMode::Keys,
        None if block.keys.is_empty() => AccessMode::Loopback,
        None => AccessMode::Keys,
    };
    if mode == AccessMode::Keys && block.keys.is_empty() {
        report.error("access.keys", "missing: with `mode: keys` and no key nobody could call");
    }
    Access {
        mode,
        keys: keys(block.keys, known, report),
        trusted_peers: peers(&block.trusted_peers, report),
        limits: limits(&block.limits.unwrap_or_default()),
    }
}

fn keys(raw: Vec<raw::Key>, known: &[Model], report: &mut Report) -> Vec<ApiKey> {
    let mut names = BTreeSet::new();
    let mut keys = Vec::new();
    for (index, key) in raw.into_iter().enumerate() {
        let path = format!("access.keys[{index}]");
        let (Some(name), Some(hash)) = (key.name, key.sha256) else { continue };
        if !names.insert(name.clone()) {
            report.error(&format!("{path}.name"), format!("two keys are called {name:?}"));
        }
        let Some(sha256) = digest(hash.reveal()) else {
            let message =
                "expected the SHA-256 of the key, 64 hexadecimal digits: `printf %s \"$KEY\" | sha256sum`";
            report.error(&format!("{path}.sha256"), message);
            continue;
        };
        let models = key.models.map(|names| {
            let at = |index: usize| format!("{path}.models[{index}]");
            names
                .iter()
                .enumerate()
                .filter_map(|(i, name)| models::find(name, known, &at(i), report))
                .collect()
        });
        keys.push(ApiKey { name, sha256, models });
    }
    keys
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let text = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(digest)
}

fn peers(raw: &[String], report: &mut Report) -> Vec<crate::check::access::Network> {
    let mut peers = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        match net::networks(text) {
            Ok(networks) => peers.extend(networks),
            Err(message) => report.error(&format!("access.trusted_peers[{index}]"), message),
        }
    }
    peers
}

fn limits(raw: &raw::Limits) -> Limits {
    let size = |written: Option<u64>, default: u64| {
        usize::try_from(written.unwrap_or(default)).unwrap_or(usize::MAX)
    };
    Limits {
        body_bytes: size(raw.body_bytes, defaults::BODY_BYTES),
        header_bytes: size(raw.header_bytes, defaults::HEADER_BYTES),
        headers: size(raw.headers, defaults::HEADERS),
        messages: size(raw.messages, defaults::MESSAGES),
        read_timeout: Duration::from_millis(raw.read_timeout_ms.unwrap_or(defaults::READ_TIMEOUT_MS)),
        in_flight: size(raw.in_flight, defaults::IN_FLIGHT),
        connections: size(raw.connections, defaults::CONNECTIONS),
    }
}
