//! From payloads to frames.

use bytes::Bytes;

use crate::response::ErrorBody;

/// The frame that ends a stream which went well.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// A frame of one event; data of several lines becomes several `data` lines.
#[must_use]
pub fn data_frame(data: &str) -> Bytes {
    let mut frame = String::with_capacity(data.len() + 8);
    // A carriage return ends a line as a line feed does.
    for line in data.split(['\n', '\r']) {
        frame.push_str("data: ");
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
    Bytes::from(frame)
}

/// The frame that ends a stream which broke after its start; no `[DONE]` follows it.
#[must_use]
pub fn error_frame(error: &ErrorBody) -> Bytes {
    data_frame(&String::from_utf8_lossy(&error.to_bytes()))
}
