//! Protocol buffers on the wire (<https://protobuf.dev/programming-guides/encoding/>), as far as OTLP's spans need them.

use bytes::Bytes;

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Fields of one message, one after the other.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn with_capacity(bytes: usize) -> Message {
        Message(Vec::with_capacity(bytes))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// An integer, an enumeration or a boolean. Zero is written too: whoever has none leaves the field out.
    pub(super) fn varint(&mut self, number: u32, value: u64) {
        self.key(number, VARINT);
        self.raw_varint(value);
    }

    /// An integer that is left out if it is zero.
    pub(super) fn count(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.varint(number, u64::from(value));
        }
    }

    pub(super) fn fixed32(&mut self, number: u32, value: u32) {
        self.key(number, FIXED32);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn fixed64(&mut self, number: u32, value: u64) {
        self.key(number, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A string or bytes.
    pub(super) fn bytes(&mut self, number: u32, value: &[u8]) {
        self.begin(number, value.len());
        self.0.extend_from_slice(value);
    }

    /// The head of a field whose `length` bytes are written next.
    pub(super) fn begin(&mut self, number: u32, length: usize) {
        self.key(number, LENGTH);
        self.raw_varint(length as u64);
    }

    /// Another message as a field; it is empty afterwards and keeps its room.
    pub(super) fn message(&mut self, number: u32, message: &mut Message) {
        self.bytes(number, &message.0);
        message.0.clear();
    }

    /// All fields of another message behind those of this one.
    pub(super) fn append(&mut self, message: &Message) {
        self.0.extend_from_slice(&message.0);
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    fn key(&mut self, number: u32, wire_type: u32) {
        self.raw_varint(u64::from(number << 3 | wire_type));
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

/// Bytes of a field that holds `length` bytes, its head included.
pub(super) fn bytes_size(number: u32, length: usize) -> usize {
    varint_size(u64::from(number << 3)) + varint_size(length as u64) + length
}

/// Bytes of a field that holds a message of `length` bytes, its head included.
pub(super) fn message_size(number: u32, length: usize) -> usize {
    bytes_size(number, length)
}

/// Bytes of an integer.
pub(super) fn varint_size(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(1) as usize;
    bits.div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_integer_is_what_is_written() {
        for shift in 0..64 {
            for value in [1 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut message = Message::default();
                message.raw_varint(value);
                assert_eq!(message.len(), varint_size(value), "{value}");
            }
        }
    }
}
