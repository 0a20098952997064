//! The messages that Envoy gets.

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, ImmediateResponse,
    ProcessingResponse, StreamedBodyResponse, TrailersResponse,
};

use super::mutation;

/// Pieces of a body that goes on in `FULL_DUPLEX_STREAMED` are at most this long, in bytes, as Envoy recommends.
const PIECE_BYTES: usize = 64 * 1024;

/// Of which of the two a message speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Whether a piece of a body is its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Yes,
    No,
}

impl Last {
    pub(super) fn when(condition: bool) -> Last {
        if condition { Last::Yes } else { Last::No }
    }
}

/// What becomes of the bytes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// They stay.
    Kept,
    /// These take their place.
    Replaced(Bytes),
}

/// The head goes on.
pub(super) fn head(side: Side, headers: HeaderMutation) -> ProcessingResponse {
    head_asking(side, headers, None)
}

/// The head goes on, and the rest is asked for in another way. A changed request may need another route.
pub(super) fn head_asking(
    side: Side,
    headers: HeaderMutation,
    mode_override: Option<ProcessingMode>,
) -> ProcessingResponse {
    let common = common(side, headers, Body::Kept);
    let response = HeadersResponse { response: Some(common) };
    let response = match side {
        Side::Request => Response::RequestHeaders(response),
        Side::Response => Response::ResponseHeaders(response),
    };
    ProcessingResponse { mode_override, ..reply(response) }
}

/// A body that came in one message or in pieces goes on, piece by piece.
pub(super) fn body(side: Side, headers: HeaderMutation, body: Body) -> ProcessingResponse {
    body_response(side, common(side, headers, body))
}

/// Pieces of a body in `FULL_DUPLEX_STREAMED`; one that says nothing but that it is the last, if there are no bytes.
pub(super) fn pieces(side: Side, body: &Bytes, last: Last) -> Vec<ProcessingResponse> {
    let count = body.len().div_ceil(PIECE_BYTES).max(usize::from(last == Last::Yes));
    let piece = |index: usize| {
        let start = index * PIECE_BYTES;
        let bytes = body.slice(start..body.len().min(start + PIECE_BYTES));
        let end_of_stream = last == Last::Yes && index + 1 == count;
        let streamed = StreamedBodyResponse { body: bytes.into(), end_of_stream, ..Default::default() };
        let mutation = BodyMutation { mutation: Some(Mutation::StreamedResponse(streamed)) };
        body_response(side, CommonResponse { body_mutation: Some(mutation), ..Default::default() })
    };
    (0..count).map(piece).collect()
}

/// Trailers go on.
pub(super) fn trailers(side: Side) -> ProcessingResponse {
    let response = TrailersResponse::default();
    reply(match side {
        Side::Request => Response::RequestTrailers(response),
        Side::Response => Response::ResponseTrailers(response),
    })
}

/// The answer comes from here.
pub(super) fn immediate(response: ImmediateResponse) -> ProcessingResponse {
    reply(Response::ImmediateResponse(response))
}

fn common(side: Side, headers: HeaderMutation, body: Body) -> CommonResponse {
    let clear_route_cache = side == Side::Request && !mutation::is_empty(&headers);
    let mutation = match body {
        Body::Kept => None,
        Body::Replaced(bytes) if bytes.is_empty() => Some(Mutation::ClearBody(true)),
        Body::Replaced(bytes) => Some(Mutation::Body(bytes.into())),
    };
    CommonResponse {
        header_mutation: (!mutation::is_empty(&headers)).then_some(headers),
        body_mutation: mutation.map(|mutation| BodyMutation { mutation: Some(mutation) }),
        clear_route_cache,
        ..CommonResponse::default()
    }
}

fn body_response(side: Side, common: CommonResponse) -> ProcessingResponse {
    let response = BodyResponse { response: Some(common) };
    reply(match side {
        Side::Request => Response::RequestBody(response),
        Side::Response => Response::ResponseBody(response),
    })
}

fn reply(response: Response) -> ProcessingResponse {
    ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hold_the_whole_body_and_one_end() {
        for (length, last, expected) in [
            (0, Last::Yes, 1),
            (0, Last::No, 0),
            (1, Last::Yes, 1),
            (PIECE_BYTES, Last::Yes, 1),
            (PIECE_BYTES + 1, Last::Yes, 2),
            (3 * PIECE_BYTES, Last::No, 3),
        ] {
            let body = Bytes::from(vec![7; length]);
            let pieces = pieces(Side::Response, &body, last);
            let mut whole = 0;
            let mut ends = 0;
            for piece in &pieces {
                let Some(Response::ResponseBody(BodyResponse { response: Some(common) })) = &piece.response
                else {
                    panic!("not a body: {piece:?}");
                };
                let Some(Mutation::StreamedResponse(streamed)) =
                    common.body_mutation.as_ref().and_then(|mutation| mutation.mutation.as_ref())
                else {
                    panic!("not streamed: {common:?}");
                };
                whole += streamed.body.len();
                ends += usize::from(streamed.end_of_stream);
            }
            assert_eq!((pieces.len(), whole, ends), (expected, length, usize::from(last == Last::Yes)));
        }
    }
}
