//! In which parts Envoy shows a request and its answer, as its first message says.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProtocolConfiguration;

/// How a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyMode {
    /// Not at all.
    None,
    /// In pieces, each answered before the next may go on.
    Streamed,
    /// Whole.
    Buffered,
    /// Whole, or only its beginning if it is larger than Envoy's buffer.
    BufferedPartial,
    /// In pieces, answered in pieces of our own.
    FullDuplex,
}

/// How both bodies come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modes {
    pub(super) request: BodyMode,
    pub(super) response: BodyMode,
    /// Whether the request's body comes before its head was answered, in the mode `STREAMED`.
    pub(super) body_without_waiting: bool,
    /// Whether Envoy said all this; older ones do not.
    pub(super) announced: bool,
}

impl Modes {
    /// What the first message says. Where it says nothing the request's body is taken to come whole, which its message
    /// shows to be true or not, and the answer's in pieces, which needs the same replies as a whole one.
    pub(super) fn of(protocol: Option<&ProtocolConfiguration>) -> Modes {
        let Some(protocol) = protocol else {
            let (request, response) = (BodyMode::Buffered, BodyMode::Streamed);
            return Modes { request, response, body_without_waiting: false, announced: false };
        };
        Modes {
            request: body_mode(protocol.request_body_mode),
            response: body_mode(protocol.response_body_mode),
            body_without_waiting: protocol.send_body_without_waiting_for_header_response,
            announced: true,
        }
    }

    /// Asks for the request's body as a whole.
    pub(super) fn buffered_request(self) -> ProcessingMode {
        self.overriding(BodySendMode::Buffered, send_mode(self.response))
    }

    /// Asks for the answer in pieces as they come.
    pub(super) fn streamed_response(self) -> ProcessingMode {
        self.overriding(send_mode(self.request), BodySendMode::Streamed)
    }

    fn overriding(self, request: BodySendMode, response: BodySendMode) -> ProcessingMode {
        ProcessingMode {
            request_body_mode: request.into(),
            response_body_mode: response.into(),
            // Heads and trailers stay as they are configured.
            ..ProcessingMode::default()
        }
    }
}

fn body_mode(mode: i32) -> BodyMode {
    match BodySendMode::try_from(mode) {
        Ok(BodySendMode::Streamed) => BodyMode::Streamed,
        Ok(BodySendMode::Buffered) => BodyMode::Buffered,
        Ok(BodySendMode::BufferedPartial) => BodyMode::BufferedPartial,
        Ok(BodySendMode::FullDuplexStreamed) => BodyMode::FullDuplex,
        // Bodies of gRPC are none of ours.
        Ok(BodySendMode::None | BodySendMode::Grpc) | Err(_) => BodyMode::None,
    }
}

fn send_mode(mode: BodyMode) -> BodySendMode {
    match mode {
        BodyMode::None => BodySendMode::None,
        BodyMode::Streamed => BodySendMode::Streamed,
        BodyMode::Buffered => BodySendMode::Buffered,
        BodyMode::BufferedPartial => BodySendMode::BufferedPartial,
        BodyMode::FullDuplex => BodySendMode::FullDuplexStreamed,
    }
}
