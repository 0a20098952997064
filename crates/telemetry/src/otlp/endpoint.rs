//! Where a collector listens, and whether the way there is encrypted.
//!
//! A scheme always decides. Without one (`jaeger:4317`) the way is plain if `insecure` is true or absent, and
//! encrypted if it is false.

use std::net::IpAddr;

use tonic::transport::Uri;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As they are.
    Plaintext,
    /// Encrypted.
    Tls,
}

/// A checked address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    transport: Transport,
    authority: String,
    /// Empty, or starts with `/` and does not end so.
    path: String,
    assumed_plaintext: bool,
}

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It cannot be read as an address.
    #[error("the OTLP endpoint is not an address; write `host:port` or `http(s)://host:port`")]
    Malformed,
    /// Its scheme is neither `http` nor `https`.
    #[error("the OTLP endpoint has the scheme `{0}`; write `http`, `https`, or none")]
    Scheme(String),
    /// It contains a user or a password, which would end up in logs.
    #[error("the OTLP endpoint contains credentials; put them into `headers` instead")]
    Credentials,
}

impl Endpoint {
    /// Reads `host`, `host:port`, or a URL with `http` or `https`; `default_port` where none is given.
    /// `insecure` matters only without a scheme.
    pub fn parse(text: &str, insecure: Option<bool>, default_port: u16) -> Result<Endpoint, EndpointError> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let transport = match (scheme.as_deref(), insecure) {
            (Some("http"), _) | (None, None | Some(true)) => Transport::Plaintext,
            (Some("https"), _) | (None, Some(false)) => Transport::Tls,
            (Some(_), _) => return Err(EndpointError::Scheme(scheme.unwrap_or_default())),
        };
        let uri: Uri = format!("http://{rest}").parse().map_err(|_| EndpointError::Malformed)?;
        let authority = uri.authority().ok_or(EndpointError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if authority.host().is_empty() || uri.query().is_some() {
            return Err(EndpointError::Malformed);
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str().len() > authority.host().len() => {
                return Err(EndpointError::Malformed);
            }
            None => default_port,
        };
        Ok(Endpoint {
            transport,
            authority: format!("{}:{port}", authority.host()),
            path: uri.path().trim_end_matches('/').to_owned(),
            assumed_plaintext: scheme.is_none() && insecure.is_none() && !is_loopback(authority.host()),
        })
    }

    /// Plain or encrypted.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path of a URL, without a last `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether plaintext was chosen by nobody although the way leaves this machine, which deserves a warning.
    pub fn is_assumed_plaintext(&self) -> bool {
        self.assumed_plaintext
    }

    /// `http(s)://host:port`.
    pub fn origin(&self) -> String {
        let scheme = match self.transport {
            Transport::Plaintext => "http",
            Transport::Tls => "https",
        };
        format!("{scheme}://{}", self.authority)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str, insecure: Option<bool>) -> Result<String, EndpointError> {
        Endpoint::parse(text, insecure, 4317).map(|endpoint| endpoint.origin())
    }

    #[test]
    fn a_scheme_always_decides() {
        for insecure in [None, Some(true), Some(false)] {
            assert_eq!(origin("http://jaeger:4317", insecure).unwrap(), "http://jaeger:4317");
            assert_eq!(origin("HTTPS://jaeger", insecure).unwrap(), "https://jaeger:4317");
        }
    }

    #[test]
    fn without_a_scheme_insecure_decides() {
        assert_eq!(origin("jaeger:4317", None).unwrap(), "http://jaeger:4317");
        assert_eq!(origin("jaeger:4317", Some(true)).unwrap(), "http://jaeger:4317");
        assert_eq!(origin("jaeger:4317", Some(false)).unwrap(), "https://jaeger:4317");
        assert_eq!(origin("[::1]:9", Some(true)).unwrap(), "http://[::1]:9");
    }

    #[test]
    fn plaintext_by_default_is_marked_off_loopback() {
        let assumed = |text, insecure| Endpoint::parse(text, insecure, 1).unwrap().is_assumed_plaintext();
        assert!(assumed("jaeger:4317", None));
        assert!(!assumed("jaeger:4317", Some(true)));
        assert!(!assumed("http://jaeger:4317", None));
        for local in ["localhost:4317", "127.0.0.1:4317", "[::1]:4317"] {
            assert!(!assumed(local, None), "{local}");
        }
    }

    #[test]
    fn paths_survive_and_mistakes_are_named() {
        let endpoint = Endpoint::parse("https://host/otlp/", None, 443).unwrap();
        assert_eq!((endpoint.path(), endpoint.transport()), ("/otlp", Transport::Tls));
        assert_eq!(origin("grpc://host", None), Err(EndpointError::Scheme("grpc".to_owned())));
        assert_eq!(origin("http://me:secret@host", None), Err(EndpointError::Credentials));
        for bad in ["", "http://", ":4317", "host:99999", "ho st", "http://host?x=1"] {
            assert_eq!(origin(bad, None), Err(EndpointError::Malformed), "{bad}");
        }
    }
}
