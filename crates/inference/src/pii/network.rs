//! Addresses of the network: e-mail, domain names, IP, credentials in URLs.

use super::scan::{Pass, Signs, compile, entity, stands_alone};
use super::{PiiEntity, PiiType};
use memchr::{memchr_iter, memmem, memrchr};
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest local part and domain of an address, RFC 5321 section 4.5.3.1.
const MAX_LOCAL_BYTES: usize = 64;
const MAX_DOMAIN_BYTES: usize = 255;

/// Longest part of a URL that is searched for credentials.
const MAX_AUTHORITY_BYTES: usize = 512;

/// Top-level domains that name hosts in prose; country codes are added where they cannot be taken for a file
/// extension or the start of a sentence.
const TOP_LEVEL: [&str; 62] = [
    "com", "org", "net", "edu", "gov", "mil", "int", "biz", "io", "ai", "co", "dev", "app", "xyz", "tech",
    "cloud", "shop", "blog", "wiki", "eu", "de", "fr", "uk", "nl", "es", "ch", "se", "dk", "fi", "cz", "jp",
    "cn", "kr", "br", "ru", "au", "ca", "mx", "za", "nz", "ie", "pt", "gr", "hu", "ro", "tr", "ua", "il",
    "sg", "hk", "tw", "th", "vn", "id", "ph", "ar", "cl", "pe", "ke", "ng", "eg", "sa",
];

/// Top-level domains that are words or extensions too: counted with another dot before them, or after `www.` or `://`.
const AMBIGUOUS_TOP_LEVEL: [&str; 17] = [
    "info", "online", "site", "store", "me", "tv", "it", "in", "is", "no", "at", "be", "us", "pl", "so",
    "to", "name",
];

#[derive(Debug)]
pub(super) struct Network {
    ip_v4: Regex,
    ip_v6: Regex,
}

impl Network {
    pub(super) fn new() -> Self {
        Self {
            ip_v4: compile(r"(?-u)(?:[0-9]{1,3}\.){3}[0-9]{1,3}"),
            ip_v6: compile(r"(?-u)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?"),
        }
    }

    pub(super) fn find<E>(
        &self,
        text: &str,
        signs: Signs,
        found: &mut Vec<PiiEntity>,
        pass: &mut Pass<'_, E>,
    ) -> Result<(), E> {
        if signs.at {
            pass()?;
            emails(text, found);
            pass()?;
            url_credentials(text, found);
        }
        if signs.inner_dot {
            pass()?;
            domain_names(text, found);
            if signs.digits >= 4 {
                pass()?;
                self.ip_v4(text, found);
            }
        }
        if signs.double_colon || signs.digits >= 8 {
            pass()?;
            self.ip_v6(text, found);
        }
        Ok(())
    }

    fn ip_v4(&self, text: &str, found: &mut Vec<PiiEntity>) {
        for hit in self.ip_v4.find_iter(text) {
            let bytes = text.as_bytes();
            let inside = hit.start() > 0 && bytes[hit.start() - 1] == b'.'
                || bytes.get(hit.end()) == Some(&b'.')
                    && bytes.get(hit.end() + 1).is_some_and(u8::is_ascii_digit);
            if !inside
                && stands_alone(text, hit.start(), hit.end())
                && hit.as_str().parse::<Ipv4Addr>().is_ok()
            {
                found.push(entity(PiiType::IpAddress, hit.start(), hit.end(), 0.95));
            }
        }
    }

    fn ip_v6(&self, text: &str, found: &mut Vec<PiiEntity>) {
        for hit in self.ip_v6.find_iter(text) {
            let colon_after = text.as_bytes().get(hit.end()) == Some(&b':');
            if !colon_after && stands_alone(text, hit.start(), hit.end()) && is_ip_v6(hit.as_str()) {
                found.push(entity(PiiType::IpAddress, hit.start(), hit.end(), 0.95));
            }
        }
    }
}

/// Whether it parses and is not `a::b` of a programming language: it has a digit, and three groups or nothing
/// before its first colon.
fn is_ip_v6(candidate: &str) -> bool {
    let groups = candidate.split(':').filter(|group| !group.is_empty()).count();
    let digit = candidate.bytes().any(|byte| byte.is_ascii_digit());
    let global = candidate.starts_with("::") || candidate.starts_with('2') || candidate.starts_with("fe80");
    digit && (groups >= 3 || global) && candidate.parse::<Ipv6Addr>().is_ok()
}

fn emails(text: &str, found: &mut Vec<PiiEntity>) {
    let bytes = text.as_bytes();
    for at in memchr_iter(b'@', bytes) {
        let local =
            bytes[..at].iter().rev().take(MAX_LOCAL_BYTES).take_while(|byte| is_local(**byte)).count();
        let domain = bytes[at + 1..].iter().take(MAX_DOMAIN_BYTES).take_while(|byte| is_host(**byte)).count();
        let local = text[at - local..at].trim_start_matches(['.', '-', '\'']);
        let host = text[at + 1..at + 1 + domain].trim_end_matches(['.', '-']);
        let named = host
            .rsplit('.')
            .next()
            .is_some_and(|top| top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()));
        let dotted = host.contains('.') && host.split('.').all(is_label);
        if !local.is_empty() && !local.ends_with('.') && named && dotted {
            found.push(entity(PiiType::EmailAddress, at - local.len(), at + 1 + host.len(), 0.99));
        }
    }
}

/// Characters of a local part in use, RFC 5322 `atom` without the rare ones.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

/// A label of a host name, RFC 1035 section 2.3.1 as relaxed by RFC 1123.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

/// The `user:password` of every `scheme://user:password@host`.
fn url_credentials(text: &str, found: &mut Vec<PiiEntity>) {
    let bytes = text.as_bytes();
    for scheme_end in memmem::find_iter(bytes, "://") {
        let start = scheme_end + 3;
        let in_authority =
            |byte: &&u8| **byte > b' ' && !matches!(**byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>' | b'`');
        let length = bytes[start..].iter().take(MAX_AUTHORITY_BYTES).take_while(in_authority).count();
        let authority = &bytes[start..start + length];
        let Some(at) = memrchr(b'@', authority) else { continue };
        let Some(colon) = memchr::memchr(b':', &authority[..at]) else { continue };
        if colon + 1 < at && at + 1 < length {
            found.push(entity(PiiType::UrlCredentials, start, start + at, 1.0));
        }
    }
}

fn domain_names(text: &str, found: &mut Vec<PiiEntity>) {
    let bytes = text.as_bytes();
    let mut position = 0;
    while let Some(start) =
        bytes[position..].iter().position(|byte| is_host(*byte)).map(|skip| position + skip)
    {
        let length = bytes[start..].iter().take_while(|byte| is_host(**byte)).count();
        position = start + length;
        let run = &text[start..position];
        let host = run.trim_end_matches(['.', '-']);
        let trimmed = host.trim_start_matches(['.', '-']);
        let first = start + host.len() - trimmed.len();
        let called = host.len() == run.len() && bytes.get(position) == Some(&b'(');
        let part_of_word = first > 0 && (bytes[first - 1] >= 0x80 || bytes[first - 1] == b'_')
            || bytes.get(position) == Some(&b'_');
        if !called && !part_of_word && is_domain(trimmed, text[..first].ends_with("://")) {
            found.push(entity(PiiType::DomainName, first, first + trimmed.len(), 0.75));
        }
    }
}

fn is_domain(host: &str, in_url: bool) -> bool {
    let Some((rest, top)) = host.rsplit_once('.') else { return false };
    if host.len() > MAX_DOMAIN_BYTES
        || !host.split('.').all(is_label)
        || !rest.bytes().any(|b| b.is_ascii_alphabetic())
    {
        return false;
    }
    let listed = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(top));
    // "Yes.No" and "End.It" are sentences that lack a space: a capital after small letters is no domain.
    let cased =
        top.starts_with(|c: char| c.is_ascii_uppercase()) && rest.bytes().any(|b| b.is_ascii_lowercase());
    if cased {
        return false;
    }
    listed(&TOP_LEVEL) || listed(&AMBIGUOUS_TOP_LEVEL) && (in_url || rest.contains('.'))
}
