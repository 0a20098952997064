//! Which formats are read and written, as `OTEL_PROPAGATORS` names them.

use super::{TraceContext, b3, baggage, jaeger};

/// One format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Propagator {
    /// W3C `traceparent` and `tracestate`.
    TraceContext,
    /// W3C `baggage`.
    Baggage,
    /// B3 in one header.
    B3,
    /// B3 in several headers.
    B3Multi,
    /// `uber-trace-id`.
    Jaeger,
}

/// The formats in use: a small set, copied with each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagators(u8);

impl Default for Propagators {
    /// The specification's: `tracecontext,baggage`.
    fn default() -> Self {
        Propagators::new(&[Propagator::TraceContext, Propagator::Baggage])
    }
}

/// Reads the values of a header by its lower-case name, in the order received.
pub type HeaderValues<'a, 'h> = &'a dyn Fn(&str) -> Vec<&'h [u8]>;

impl Propagators {
    /// The set of these formats.
    pub fn new(formats: &[Propagator]) -> Propagators {
        Propagators(formats.iter().fold(0, |set, format| set | bit(*format)))
    }

    /// Whether a format is in use.
    pub fn has(self, format: Propagator) -> bool {
        self.0 & bit(format) != 0
    }

    /// The caller's position: of the first format that has a valid one, W3C before B3 before Jaeger.
    pub fn extract(self, values: HeaderValues<'_, '_>) -> Option<TraceContext> {
        let only = |name: &str| match values(name).as_slice() {
            [value] => std::str::from_utf8(value).ok().map(str::to_owned),
            _ => None,
        };
        let w3c = || TraceContext::extract(values("traceparent"), values("tracestate"));
        let single = || b3::parse_single(&only("b3")?);
        let multi = || {
            let (state, flags) = (only("x-b3-sampled"), only("x-b3-flags"));
            b3::parse_multi(&only("x-b3-traceid")?, &only("x-b3-spanid")?, state.as_deref(), flags.as_deref())
        };
        let jaeger = || jaeger::parse(&only("uber-trace-id")?);
        let found = self.has(Propagator::TraceContext).then(w3c).flatten();
        let found = found.or_else(|| self.has(Propagator::B3).then(single).flatten());
        let found = found.or_else(|| self.has(Propagator::B3Multi).then(multi).flatten());
        found.or_else(|| self.has(Propagator::Jaeger).then(jaeger).flatten())
    }

    /// The caller's baggage, valid and within bounds, if baggage is in use.
    pub fn baggage(self, values: HeaderValues<'_, '_>) -> Option<String> {
        self.has(Propagator::Baggage).then(|| baggage::parse(values("baggage"))).flatten()
    }

    /// The headers that carry a position on, in every format in use.
    pub fn inject(self, context: &TraceContext) -> Vec<(&'static str, String)> {
        let mut headers = Vec::with_capacity(2);
        if self.has(Propagator::TraceContext) {
            headers.push(("traceparent", context.traceparent()));
            headers.extend(context.state.header().map(|state| ("tracestate", state.to_owned())));
        }
        if self.has(Propagator::B3) {
            headers.push(("b3", b3::single(context)));
        }
        if self.has(Propagator::B3Multi) {
            headers.extend(b3::multi(context));
        }
        if self.has(Propagator::Jaeger) {
            headers.push(("uber-trace-id", jaeger::format(context)));
        }
        headers
    }
}

fn bit(format: Propagator) -> u8 {
    match format {
        Propagator::TraceContext => 1,
        Propagator::Baggage => 2,
        Propagator::B3 => 4,
        Propagator::B3Multi => 8,
        Propagator::Jaeger => 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Propagator; 5] = [
        Propagator::TraceContext,
        Propagator::Baggage,
        Propagator::B3,
        Propagator::B3Multi,
        Propagator::Jaeger,
    ];

    #[test]
    fn every_format_reads_what_it_writes() {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::extract([traceparent.as_bytes()], []).unwrap();
        for format in ALL.into_iter().filter(|format| *format != Propagator::Baggage) {
            let set = Propagators::new(&[format]);
            let headers = set.inject(&context);
            let values = |name: &str| {
                headers
                    .iter()
                    .filter(|(known, _)| *known == name)
                    .map(|(_, value)| value.as_bytes())
                    .collect()
            };
            let read = set.extract(&values).unwrap_or_else(|| panic!("{format:?} does not read {headers:?}"));
            assert_eq!((read.trace_id, read.span_id), (context.trace_id, context.span_id), "{format:?}");
            assert!(read.flags.sampled());
            assert_eq!(Propagators::new(&[]).extract(&values), None);
        }
    }

    #[test]
    fn repeated_headers_name_no_position() {
        let value = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1".as_bytes();
        let twice = |name: &str| if name == "b3" { vec![value, value] } else { Vec::new() };
        assert_eq!(Propagators::new(&ALL).extract(&twice), None);
    }
}
