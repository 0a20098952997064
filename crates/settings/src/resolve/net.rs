//! Addresses, networks and header names: texts that must have a certain form.
//!
//! What it is not: a general URL parser. Its invariant: no message repeats a user name, a password, a path or a query of an
//! address; any of them may be secret.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::check::access::Network;
use crate::check::models::Scheme;

/// A parsed `http(s)://host:port/path`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub scheme: Scheme,
    pub host: String,
    pub port: u16,
    /// Empty, or from the first slash on.
    pub path: String,
}

/// Parses `http(s)://host[:port][/path]`; the port defaults to the scheme's.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if text.contains('@') {
        return Err("an address holds no user name or password; use `api_key` or `headers`".to_owned());
    }
    let (scheme, rest) = if let Some(rest) = text.strip_prefix("http://") {
        (Scheme::Http, rest)
    } else if let Some(rest) = text.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else if text.contains("://") {
        return Err("the scheme is neither http nor https".to_owned());
    } else {
        let shown = text.split(['/', '?', '#']).next().unwrap_or_default();
        return Err(format!("{shown:?} has no scheme; did you mean \"http://{shown}\"?"));
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains(['?', '#']) {
        return Err(format!("{authority:?} is followed by a query or a fragment; an address has none"));
    }
    let default_port = if scheme == Scheme::Http { 80 } else { 443 };
    let (host, port) =
        host_and_port(authority, Some(default_port)).map_err(|reason| format!("{authority:?}: {reason}"))?;
    Ok(Url { scheme, host, port, path: path.to_owned() })
}

/// Splits `host:port`, `[v6]:port`, or `host` where there is a default port. The host comes without brackets.
///
/// # Errors
/// A part of a sentence about what is wrong.
pub(super) fn host_and_port(text: &str, default_port: Option<u16>) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address ends with `]`")?;
            host.parse::<Ipv6Addr>().map_err(|_| "what stands in `[…]` is not an IPv6 address")?;
            (host, port.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if !host.chars().all(plain) || (host.contains(':') && !text.starts_with('[')) {
        return Err(
            "the host has characters that no host name has; an IPv6 address goes into `[…]`".to_owned()
        );
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| "the port is a number from 0 to 65535")?,
        None => default_port.ok_or("the port is missing; write `host:port`")?,
    };
    Ok((host.to_owned(), port))
}

/// An address to listen on: an IP address or `localhost`, and a port.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let (host, port) = host_and_port(text, None).map_err(|reason| {
        if text.bytes().all(|c| c.is_ascii_digit()) {
            format!("{text:?}: the host is missing; write \"127.0.0.1:{text}\"")
        } else if text.starts_with(':') {
            format!("{text:?}: the host is missing; write \"127.0.0.1{text}\", or \"0.0.0.0{text}\" for every interface")
        } else {
            format!("{text:?}: {reason}")
        }
    })?;
    let ip = match host.as_str() {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        other => other.parse().map_err(|_| format!("{text:?}: the host is an IP address or `localhost`"))?,
    };
    Ok(SocketAddr::new(ip, port))
}

/// The networks that `loopback`, an address, or `address/bits` stands for.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn networks(text: &str) -> Result<Vec<Network>, String> {
    if text.trim() == "loopback" {
        return Ok(vec![
            Network { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
            Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
        ]);
    }
    let wrong = || format!("{text:?} is not an address, a network such as \"10.0.0.0/8\", or `loopback`");
    let (address, prefix) = match text.trim().split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse::<u8>().ok().filter(|prefix| *prefix <= width).ok_or_else(wrong)?,
        None => width,
    };
    Ok(vec![Network { address, prefix }])
}

/// Whether `host` can only be this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A header name in lower case.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn header_name(name: &str) -> Result<String, String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || name.len() > 256 || !name.chars().all(token) {
        return Err(format!("{name:?} is not a header name"));
    }
    Ok(name.to_ascii_lowercase())
}

/// A header name that may be set on requests to others: not one that the connection itself needs.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn settable_header_name(name: &str) -> Result<String, String> {
    const OURS: [&str; 9] = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-gateway-destination-endpoint",
    ];
    let name = header_name(name)?;
    if OURS.contains(&name.as_str()) {
        return Err(format!("{name:?} is set by the router itself"));
    }
    Ok(name)
}

/// Whether `value` can stand in a header.
pub(super) fn is_header_value(value: &str) -> bool {
    value.len() <= 8192 && value.chars().all(|c| c == '\t' || !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::{header_name, networks, settable_header_name, socket, url};
    use crate::check::models::Scheme;

    #[test]
    fn urls() {
        let parsed = url("http://vllm-1:8000").expect("valid");
        assert_eq!((parsed.scheme, parsed.host.as_str(), parsed.port), (Scheme::Http, "vllm-1", 8000));
        assert_eq!(url("https://api.openai.com/v1").expect("valid").port, 443);
        assert_eq!(url("http://[::1]:80/x").expect("valid").host, "::1");
        assert!(url("vllm-1:8000").expect_err("no scheme").contains("http://vllm-1:8000"));
        let secret = url("http://user:hunter2@host").expect_err("credentials");
        assert!(!secret.contains("hunter2"));
        for bad in [
            "http://",
            "http://:80",
            "http://a b",
            "http://h:99999",
            "ftp://h",
            "http://::1:80",
            "http://h?q",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sockets() {
        assert!(socket("127.0.0.1:0").is_ok());
        assert!(socket("localhost:80").expect("valid").ip().is_loopback());
        assert!(socket(":8080").expect_err("no host").contains("0.0.0.0:8080"));
        assert!(socket("example.com:80").is_err());
        assert!(socket("127.0.0.1").is_err());
    }

    #[test]
    fn networks_contain_what_they_say() {
        let ten = networks("10.0.0.0/8").expect("valid")[0];
        assert!(ten.contains("10.200.0.1".parse().expect("an address")));
        assert!(ten.contains("::ffff:10.0.0.1".parse().expect("an address")));
        assert!(!ten.contains("11.0.0.1".parse().expect("an address")));
        let all = networks("0.0.0.0/0").expect("valid")[0];
        assert!(all.contains("1.2.3.4".parse().expect("an address")));
        assert!(!all.contains("::1".parse().expect("an address")));
        assert!(networks("::/0").expect("valid")[0].contains("::1".parse().expect("an address")));
        assert_eq!(networks("loopback").expect("valid").len(), 2);
        assert!(networks("10.0.0.0/33").is_err());
    }

    #[test]
    fn header_names() {
        assert_eq!(header_name("X-Tenant").as_deref(), Ok("x-tenant"));
        assert!(header_name("x tenant").is_err());
        assert!(settable_header_name("Host").is_err());
    }
}
