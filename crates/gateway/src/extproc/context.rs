//! The caller's place in a trace: what the request's headers say, and what Envoy says of itself in the call's metadata.

use http::HeaderMap;
use trace::propagation::{Propagators, TraceContext};

use crate::intake::incoming_context;

/// The parent of a request's trace. Where Envoy traces too, its span is the parent, as long as both speak of one trace;
/// metadata that contradict the request's headers do not count.
pub(super) fn parent(
    propagators: Propagators,
    headers: &HeaderMap,
    metadata: &HeaderMap,
) -> Option<TraceContext> {
    let forwarded = incoming_context(propagators, headers);
    let envoys = incoming_context(propagators, metadata);
    match (forwarded, envoys) {
        (Some(forwarded), Some(envoys)) if forwarded.trace_id == envoys.trace_id => Some(envoys),
        (Some(forwarded), _) => Some(forwarded),
        (None, envoys) => envoys,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn envoys_span_is_the_parent_if_it_is_of_the_same_trace() {
        let of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            if !text.is_empty() {
                headers.insert("traceparent", HeaderValue::from_static(text));
            }
            headers
        };
        let clients = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let envoys = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
        let others = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for (headers, metadata, expected) in [
            (clients, envoys, Some(envoys)),
            (clients, others, Some(clients)),
            (clients, "", Some(clients)),
            (clients, "00-nonsense", Some(clients)),
            ("", envoys, Some(envoys)),
            ("", "", None),
        ] {
            let parent = parent(Propagators::default(), &of(headers), &of(metadata));
            assert_eq!(parent.map(|context| context.traceparent()).as_deref(), expected, "{metadata}");
        }
    }
}
