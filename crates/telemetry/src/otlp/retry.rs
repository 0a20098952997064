//! When an export is tried again, as the OTLP specification says
//! (<https://opentelemetry.io/docs/specs/otlp/#failures>).

use std::error::Error as _;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};

/// How often and after which pauses. Pauses grow by half and carry a jitter, so that many routers do not
/// knock on a recovering collector in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all; 1 means no retry.
    pub attempts: u32,
    /// First pause.
    pub initial: Duration,
    /// Longest pause, also where the collector asks for a longer one.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { attempts: 5, initial: Duration::from_secs(1), longest: Duration::from_secs(5) }
    }
}

impl Retry {
    /// The pause after a failed attempt (1 for the first); `None` when there is no further attempt.
    pub(super) fn pause_after(&self, attempt: u32, asked: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let growth = 1.5_f64.powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
        let pause = self.initial.as_secs_f64() * growth * (0.8 + 0.4 * fastrand::f64());
        let pause = Duration::try_from_secs_f64(pause).unwrap_or(self.longest);
        Some(asked.map_or(pause, |asked| asked.max(pause)).min(self.longest))
    }
}

/// Whether a failure may pass, and how long the collector asks to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Permanent,
    Transient { asked: Option<Duration> },
}

/// Reads a gRPC status.
pub(super) fn grpc_verdict(status: &Status) -> Verdict {
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Verdict::Transient { asked: asked_delay(status.details()) },
        // With a cause, no collector said so: the connection broke, as it does when one restarts or a proxy hangs up.
        Code::Unknown if status.source().is_some() => Verdict::Transient { asked: None },
        // An exhausted collector recovers only if it says when.
        Code::ResourceExhausted => match asked_delay(status.details()) {
            Some(delay) => Verdict::Transient { asked: Some(delay) },
            None => Verdict::Permanent,
        },
        _ => Verdict::Permanent,
    }
}

/// The same over HTTP. `retry_after` is that header's value; its form with a date is not used by collectors.
pub(super) fn http_verdict(status: u16, retry_after: Option<&str>) -> Verdict {
    match status {
        429 | 502 | 503 | 504 => {
            let seconds = retry_after.and_then(|value| value.trim().parse().ok());
            Verdict::Transient { asked: seconds.map(Duration::from_secs) }
        }
        _ => Verdict::Permanent,
    }
}

/// `google.rpc.Status`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn asked_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_info(seconds: i64) -> Vec<u8> {
        let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos: 0 }) };
        let any = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: info.encode_to_vec(),
        };
        RpcStatus { details: vec![any] }.encode_to_vec()
    }

    #[test]
    fn an_exhausted_collector_is_asked_again_only_if_it_says_when() {
        let silent = Status::resource_exhausted("full");
        assert_eq!(grpc_verdict(&silent), Verdict::Permanent);
        let telling = Status::with_details(Code::ResourceExhausted, "full", retry_info(3).into());
        assert_eq!(grpc_verdict(&telling), Verdict::Transient { asked: Some(Duration::from_secs(3)) });
        assert_eq!(grpc_verdict(&Status::invalid_argument("no")), Verdict::Permanent);
        assert_eq!(grpc_verdict(&Status::unavailable("later")), Verdict::Transient { asked: None });
    }

    #[test]
    fn a_broken_connection_may_pass_and_an_unknown_answer_may_not() {
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert_eq!(grpc_verdict(&broken), Verdict::Transient { asked: None });
        assert_eq!(grpc_verdict(&Status::unknown("what happened?")), Verdict::Permanent);
    }

    #[test]
    fn over_http_four_statuses_may_pass() {
        let asked = Some(Duration::from_secs(7));
        assert_eq!(http_verdict(429, Some(" 7")), Verdict::Transient { asked });
        assert_eq!(
            http_verdict(503, Some("Fri, 01 May 2026 12:00:00 GMT")),
            Verdict::Transient { asked: None }
        );
        for status in [400, 401, 404, 500] {
            assert_eq!(http_verdict(status, Some("7")), Verdict::Permanent, "{status}");
        }
    }

    #[test]
    fn pauses_grow_are_bounded_and_end() {
        let retry =
            Retry { attempts: 4, initial: Duration::from_millis(100), longest: Duration::from_millis(200) };
        for (attempt, least, most) in [(1, 80, 120), (2, 120, 180), (3, 180, 200)] {
            let pause = retry.pause_after(attempt, None).unwrap().as_millis();
            assert!((least..=most).contains(&pause), "attempt {attempt}: {pause} ms");
        }
        assert_eq!(retry.pause_after(4, None), None);
        assert_eq!(retry.pause_after(1, Some(Duration::from_secs(60))), Some(retry.longest));
    }
}
