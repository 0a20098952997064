//! What went wrong, in the pipeline's words.
//!
//! The kind comes from the types of the causes, the description from their texts. Those texts are of the libraries and
//! the operating system; none of them quotes a header or a body.

use std::error::Error;
use std::fmt::Write;
use std::io;

use pipeline::exchange::{UpstreamFault, UpstreamFaultKind};
use pipeline::policy::{Endpoint, Timeouts};
use trace::Text;

use crate::connector::ConnectTimedOut;

/// More causes than this are not described.
const MAX_CAUSES: usize = 8;

/// A call that got no answer.
pub(crate) fn of_call(endpoint: &Endpoint, error: &hyper_util::client::legacy::Error) -> UpstreamFault {
    match error.source().filter(|_| error.is_connect()) {
        Some(cause) => of_connecting(endpoint, cause),
        None => described(endpoint, kind_of(error), "the call failed", error.source()),
    }
}

/// A connection that could not be opened.
pub(crate) fn of_connecting(endpoint: &Endpoint, error: &(dyn Error + 'static)) -> UpstreamFault {
    if causes(Some(error)).any(<dyn Error>::is::<ConnectTimedOut>) {
        return of_timeout(endpoint, UpstreamFaultKind::ConnectTimeout);
    }
    described(endpoint, UpstreamFaultKind::Unreachable, "no connection", Some(error))
}

/// A call that got no answer on an open connection.
pub(crate) fn of_exchange(endpoint: &Endpoint, error: &hyper::Error) -> UpstreamFault {
    described(endpoint, kind_of(error), "the call failed", Some(error))
}

/// An answer that broke.
pub(crate) fn of_body(endpoint: &Endpoint, error: &hyper::Error) -> UpstreamFault {
    described(endpoint, kind_of(error), "the answer broke off", Some(error))
}

/// A wait that was too long.
pub(crate) fn of_timeout(endpoint: &Endpoint, kind: UpstreamFaultKind) -> UpstreamFault {
    let Timeouts { connect, first_token, idle, total } = endpoint.timeouts;
    let (what, limit) = match kind {
        UpstreamFaultKind::ConnectTimeout => ("the connection was not open within", connect),
        UpstreamFaultKind::FirstTokenTimeout => ("no byte of the answer came within", first_token),
        UpstreamFaultKind::IdleTimeout => ("nothing more came within", idle),
        _ => ("the whole request was not done within", total),
    };
    let address = &endpoint.address;
    let description = format!("{}:{}: {what} {} ms", address.host, address.port, limit.as_millis());
    UpstreamFault { kind, description: Text::from_outside(&description) }
}

/// An answer whose head is larger than `limit_bytes`.
pub(crate) fn of_head(endpoint: &Endpoint, limit_bytes: u32) -> UpstreamFault {
    let what = format!("the head of the answer is larger than {limit_bytes} bytes");
    described(endpoint, UpstreamFaultKind::Invalid, &what, None)
}

/// An endpoint that cannot be called as it is configured.
pub(crate) fn of_address(endpoint: &Endpoint, error: &http::Error) -> UpstreamFault {
    described(endpoint, UpstreamFaultKind::Unreachable, "its address and path make no URI", Some(error))
}

/// A broken connection, or an answer that is not HTTP.
fn kind_of(error: &(dyn Error + 'static)) -> UpstreamFaultKind {
    for cause in causes(Some(error)) {
        if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
            if cause.is_parse() {
                return UpstreamFaultKind::Invalid;
            }
        } else if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            return kind_of_http2(cause);
        } else if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return match cause.kind() {
                // hyper's decoder of chunked bodies reports what it cannot read in this way.
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => UpstreamFaultKind::Invalid,
                _ => UpstreamFaultKind::Reset,
            };
        }
    }
    UpstreamFaultKind::Reset
}

/// An error that our side raised is about what the backend sent; any other is the backend's way of hanging up.
fn kind_of_http2(error: &h2::Error) -> UpstreamFaultKind {
    if !error.is_remote() && error.reason().is_some() {
        UpstreamFaultKind::Invalid
    } else {
        UpstreamFaultKind::Reset
    }
}

fn described(
    endpoint: &Endpoint,
    kind: UpstreamFaultKind,
    what: &str,
    source: Option<&(dyn Error + 'static)>,
) -> UpstreamFault {
    let mut description = format!("{}:{}: {what}", endpoint.address.host, endpoint.address.port);
    let mut last = String::new();
    for cause in causes(source).map(ToString::to_string) {
        // A cause often repeats the words of the one below it.
        if !last.contains(&cause) {
            // Writing into a string cannot fail.
            let _ = write!(description, ": {cause}");
        }
        last = cause;
    }
    UpstreamFault { kind, description: Text::from_outside(&description) }
}

/// `first` and what lies below it.
fn causes<'a>(first: Option<&'a (dyn Error + 'static)>) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(first, |error| below(*error)).take(MAX_CAUSES)
}

/// The next cause. `io::Error` passes over the error that it wraps and names that one's cause, so it is asked first.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(wrapped) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return Some(wrapped);
    }
    error.source()
}
