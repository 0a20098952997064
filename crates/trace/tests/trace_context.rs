//! The rules of the W3C's trace-context test suite at level 2, as a table of our own: what a caller sends, and what the
//! headers of a call to a backend say then.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use trace::propagation::Propagators;
use trace::sampling::{Sampler, UnsampledParent};
use trace::{Clock, Door, Record, RequestFacts, Stage, Text};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const PARENT: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");

/// The trace context of one call.
#[derive(Debug)]
struct Sent {
    trace: String,
    span: String,
    flags: u8,
    state: Option<String>,
}

/// What a service sends in `calls` calls for a request with these headers.
fn relayed(headers: &[(&str, &str)], calls: usize) -> Vec<Sent> {
    let propagators = Propagators::default();
    let values = |name: &str| {
        let named = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes()).collect()
    };
    let facts = RequestFacts::new(Text::trusted("r"), Door::Http, "POST", Text::trusted("/x"), "/x");
    let parent = propagators.extract(&values);
    let undecided = Sampler::AlwaysOff.decide(trace::TraceId::random(), None, UnsampledParent::Respect);
    let mut record = Record::new(Clock::start(), parent, undecided, facts);
    let sampler = Sampler::AlwaysOn;
    record.sampling = sampler.decide(record.trace_id, record.parent.as_ref(), UnsampledParent::Respect);
    let call = |_| {
        let span = record.begin(Stage::UpstreamRequest);
        let context = record.send_under(span).unwrap();
        let headers = propagators.inject(&context);
        let only = |name: &str| {
            let mut named = headers.iter().filter(|(known, _)| *known == name);
            let first = named.next().map(|(_, value)| value.clone());
            assert!(named.next().is_none(), "{name} is sent twice");
            first
        };
        let parent = only("traceparent").unwrap();
        let [version, trace, span, flags] = parent.split('-').collect::<Vec<_>>()[..] else {
            panic!("{parent} has not four parts")
        };
        assert_eq!((version, trace.len(), span.len(), flags.len()), ("00", 32, 16, 2), "{parent}");
        assert!(parent.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{parent}");
        let flags = u8::from_str_radix(flags, 16).unwrap();
        Sent { trace: trace.to_owned(), span: span.to_owned(), flags, state: only("tracestate") }
    };
    (0..calls).map(call).collect()
}

/// What becomes of the caller's trace.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trace {
    Continued,
    New,
}
use Trace::{Continued, New};

/// A rule: its words, the request's headers, the trace, and the `tracestate` that is sent on.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>, Trace, Option<&'a str>);

fn check(rows: Vec<Row<'_>>) {
    for (rule, headers, expected, state) in rows {
        let sent = relayed(&headers, 1).remove(0);
        let found = if sent.trace == TRACE { Continued } else { New };
        assert_eq!(found, expected, "{rule}: {headers:?}");
        assert_ne!(sent.span, SPAN, "{rule}: the caller's span is not the parent of what is called");
        assert_eq!(sent.state.as_deref(), state, "{rule}: {headers:?}");
    }
}

/// A row about the value of `traceparent` alone.
fn value<'a>(rule: &'a str, value: &'a str, expected: Trace) -> Row<'a> {
    (rule, vec![("traceparent", value)], expected, None)
}

#[test]
fn which_headers_count() {
    let value = PARENT.1;
    check(vec![
        ("without either header a trace begins", vec![], New, None),
        ("without a state the trace goes on", vec![PARENT], Continued, None),
        ("two parents are none", vec![PARENT, PARENT], New, None),
        ("a name with a dash is another header", vec![("trace-parent", value)], New, None),
        ("a name with a dot is another header", vec![("trace.parent", value)], New, None),
        ("names have no case", vec![("TraceParent", value)], Continued, None),
        ("names have no case", vec![("TRACEPARENT", value)], Continued, None),
        ("a state without a parent is dropped", vec![("tracestate", "foo=1,bar=2")], New, None),
        (
            "a state under a bad parent is dropped",
            vec![("traceparent", "00"), ("tracestate", "foo=1")],
            New,
            None,
        ),
        ("both go on", vec![PARENT, ("tracestate", "foo=1,bar=2")], Continued, Some("foo=1,bar=2")),
        ("a name with a dash is another header", vec![PARENT, ("trace-state", "foo=1")], Continued, None),
        ("a name with a dot is another header", vec![PARENT, ("trace.state", "foo=1")], Continued, None),
        ("names have no case", vec![PARENT, ("TraceState", "foo=1")], Continued, Some("foo=1")),
        ("names have no case", vec![PARENT, ("TRACESTATE", "foo=1")], Continued, Some("foo=1")),
    ]);
}

#[test]
fn versions_of_a_parent() {
    let rest = format!("{TRACE}-{SPAN}-01");
    let of = |version: &str, tail: &str| format!("{version}-{rest}{tail}");
    for (rule, text, expected) in [
        ("version 00 ends with its flags", of("00", "."), New),
        ("version 00 ends with its flags", of("00", "-what-comes-later"), New),
        ("a later version is read as 00", of("cc", ""), Continued),
        ("a later version may go on behind a dash", of("cc", "-what-comes-later"), Continued),
        ("a later version may go on behind a dash only", of("cc", ".what-comes-later"), New),
        ("version ff is none", of("ff", ""), New),
        ("a version is hexadecimal", of(".0", ""), New),
        ("a version is hexadecimal", of("0.", ""), New),
        ("a version has two digits", of("000", ""), New),
        ("a version has two digits", of("0000", ""), New),
        ("a version has two digits", of("0", ""), New),
    ] {
        check(vec![value(rule, &text, expected)]);
    }
}

#[test]
fn ids_and_flags_of_a_parent() {
    let of = |trace: &str, span: &str, flags: &str| format!("00-{trace}-{span}-{flags}");
    let zero_trace = "0".repeat(32);
    let zero_span = "0".repeat(16);
    for (rule, text) in [
        ("a trace id is not zero", of(&zero_trace, SPAN, "01")),
        ("a trace id is hexadecimal", of(&TRACE.replacen('0', ".", 1), SPAN, "01")),
        ("a trace id is hexadecimal", of(&format!("{}.", &TRACE[..31]), SPAN, "01")),
        ("a trace id is lower case", of(&TRACE.to_uppercase(), SPAN, "01")),
        ("a trace id is not longer", of(&format!("{TRACE}1"), SPAN, "01")),
        ("a trace id is not shorter", of(&TRACE[..31], SPAN, "01")),
        ("a span id is not zero", of(TRACE, &zero_span, "01")),
        ("a span id is hexadecimal", of(TRACE, &SPAN.replacen('b', ".", 1), "01")),
        ("a span id is hexadecimal", of(TRACE, &format!("{}.", &SPAN[..15]), "01")),
        ("a span id is not longer", of(TRACE, &format!("{SPAN}1"), "01")),
        ("a span id is not shorter", of(TRACE, &SPAN[..15], "01")),
        ("flags are hexadecimal", of(TRACE, SPAN, ".0")),
        ("flags are hexadecimal", of(TRACE, SPAN, "0.")),
        ("flags have two digits", of(TRACE, SPAN, "001")),
        ("flags have two digits", of(TRACE, SPAN, "1")),
    ] {
        check(vec![value(rule, &text, New)]);
    }
}

#[test]
fn white_space_around_a_parent_is_nothing() {
    for text in [" {}", "\t{}", "{} ", "{}\t", "\t {} \t"] {
        check(vec![value("white space around the value", &text.replace("{}", PARENT.1), Continued)]);
    }
}

/// Rows of `tracestate` headers under a good parent: what is sent on.
fn states(rows: &[(&str, &[&str], Option<&str>)]) {
    for (rule, values, state) in rows {
        let mut headers = vec![PARENT];
        headers.extend(values.iter().map(|value| ("tracestate", *value)));
        check(vec![(rule, headers, Continued, *state)]);
    }
}

#[test]
fn headers_of_a_state_are_one_list() {
    states(&[
        ("an empty header is none", &[""], None),
        ("an empty header adds nothing", &["foo=1", ""], Some("foo=1")),
        ("an empty header adds nothing", &["", "foo=1"], Some("foo=1")),
        ("headers are joined in their order", &["a=1,b=2", "c=3", "d=4"], Some("a=1,b=2,c=3,d=4")),
        ("of a repeated key one stays", &["foo=1,foo=1"], Some("foo=1")),
        ("of a repeated key one stays", &["foo=1,foo=2"], Some("foo=1")),
        ("of a repeated key one stays", &["foo=1", "foo=1"], Some("foo=1")),
        ("of a repeated key one stays", &["foo=1", "foo=2"], Some("foo=1")),
        ("white space around members", &["foo=1 \t , \t bar=2, \t baz=3"], Some("foo=1,bar=2,baz=3")),
        ("white space around members", &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], Some("foo=1,bar=2,baz=3")),
        ("white space around the list", &[" foo=1"], Some("foo=1")),
        ("white space around the list", &["\tfoo=1"], Some("foo=1")),
        ("white space around the list", &["foo=1 "], Some("foo=1")),
        ("white space around the list", &["foo=1\t"], Some("foo=1")),
        ("white space around the list", &["\t foo=1 \t"], Some("foo=1")),
    ]);
    let members = |count: usize| (1..=count).map(|n| format!("k{n}={n}")).collect::<Vec<_>>().join(",");
    states(&[
        ("32 members are a list", &[&members(32)], Some(&members(32))),
        ("33 members are none", &[&members(33)], None),
        ("33 members are none, wherever they stand", &[&members(32), "last=1"], None),
    ]);
}

#[test]
fn characters_of_a_state() {
    let letters: String = ('a'..='z').chain('0'..='9').chain("_-*/".chars()).collect();
    let printable: String = (' '..='~').filter(|character| !matches!(character, ',' | '=')).collect();
    let plain = format!("{letters}={printable}");
    let of_two = format!("{letters}@z9_-*/={printable}");
    states(&[
        ("every character that a key and a value may have", &[&plain], Some(&plain)),
        ("every character that a key of two parts may have", &[&of_two], Some(&of_two)),
        ("no space in a key", &["foo =1"], None),
        ("no capitals in a key", &["FOO=1"], None),
        ("no dots in a key", &["foo.bar=1"], None),
        ("the second part is not empty", &["foo@=1,bar=2"], None),
        ("the first part is not empty", &["@foo=1,bar=2"], None),
        ("two parts at most", &["foo@@bar=1,bar=2"], None),
        ("two parts at most", &["foo@bar@baz=1,bar=2"], None),
        ("no `=` in a value", &["foo=bar=baz"], None),
        ("a value is not empty", &["foo=,bar=3"], None),
    ]);
}

#[test]
fn lengths_of_a_state() {
    let member = |key: String| format!("{key}=1");
    let longest = member("z".repeat(256));
    let of_two = member(format!("{}@{}", "t".repeat(241), "v".repeat(14)));
    states(&[
        ("a key of 256", &["foo=1", &longest], Some(&format!("foo=1,{longest}"))),
        ("a key of 257", &["foo=1", &member("z".repeat(257))], None),
        ("241 and 14", &["foo=1", &of_two], Some(&format!("foo=1,{of_two}"))),
        ("242 before the `@`", &["foo=1", &member(format!("{}@v", "t".repeat(242)))], None),
        ("15 behind it", &["foo=1", &member(format!("t@{}", "v".repeat(15)))], None),
        ("a value of 256", &[&format!("foo={}", "v".repeat(256))], Some(&format!("foo={}", "v".repeat(256)))),
        ("a value of 257", &[&format!("foo={}", "v".repeat(257))], None),
    ]);
}

#[test]
fn calls_of_one_request_are_spans_of_one_trace() {
    let zero = format!("00-{}-{SPAN}-01", "0".repeat(32));
    for headers in [vec![PARENT], vec![], vec![("traceparent", zero.as_str())]] {
        let sent = relayed(&headers, 3);
        let traces: BTreeSet<&str> = sent.iter().map(|sent| sent.trace.as_str()).collect();
        let spans: BTreeSet<&str> = sent.iter().map(|sent| sent.span.as_str()).collect();
        assert_eq!((traces.len(), spans.len()), (1, 3), "{headers:?}");
        assert_eq!(traces.contains(TRACE), headers == [PARENT]);
        assert!(!traces.contains("0".repeat(32).as_str()));
    }
}

#[test]
fn flags_that_are_sent() {
    let flags =
        |flags: &str| relayed(&[("traceparent", &format!("00-{TRACE}-{SPAN}-{flags}"))], 1).remove(0).flags;
    assert_eq!((flags("00"), flags("01")), (0, 1), "the caller's decision holds");
    assert_eq!((flags("02"), flags("03")), (2, 3), "that an id is random stays said");
    assert_eq!(flags("ff"), 3, "what level 2 does not define is cleared");
    assert_eq!(relayed(&[], 1)[0].flags, 3, "our own ids are random");
}
