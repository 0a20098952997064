//! Trace and span ids: random, never zero, rendered as lower-case hex (W3C Trace Context level 2, section 3.2.2).

use std::cell::RefCell;
use std::fmt;

/// Sixteen random bytes that name a trace. Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// Eight random bytes that name a span within a trace. Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// A new random id.
    pub fn random() -> TraceId {
        TraceId(with_generator(|rng| rng.u128(1..)).to_be_bytes())
    }

    /// The id with these bytes; `None` if they are all zero, which every propagation format forbids.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<TraceId> {
        (bytes != [0; 16]).then_some(TraceId(bytes))
    }

    /// Parses exactly 32 lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<TraceId> {
        parse_hex::<16>(text.as_bytes()).and_then(TraceId::from_bytes)
    }

    /// The bytes, most significant first.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// The low 56 bits as a number: the part that W3C level 2 marks as random, on which replicas agree when
    /// they sample by rate.
    pub fn randomness(self) -> u64 {
        let [.., a, b, c, d, e, f, g] = self.0;
        u64::from_be_bytes([0, a, b, c, d, e, f, g])
    }
}

impl SpanId {
    /// A new random id.
    pub fn random() -> SpanId {
        SpanId(with_generator(|rng| rng.u64(1..)).to_be_bytes())
    }

    /// The id with these bytes; `None` if they are all zero.
    pub fn from_bytes(bytes: [u8; 8]) -> Option<SpanId> {
        (bytes != [0; 8]).then_some(SpanId(bytes))
    }

    /// Parses exactly 16 lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<SpanId> {
        parse_hex::<8>(text.as_bytes()).and_then(SpanId::from_bytes)
    }

    /// The bytes, most significant first.
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, out)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, out)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, out)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, out)
    }
}

/// Decodes `2 * N` lower-case hex digits. Upper case is refused, as the header formats demand.
pub(crate) fn parse_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0_u8; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out.pad(std::str::from_utf8(&text[..2 * bytes.len()]).unwrap_or_default())
}

/// One generator per thread, seeded by the operating system: an id costs a few nanoseconds and no lock.
fn with_generator<T>(draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
    thread_local! {
        static GENERATOR: RefCell<fastrand::Rng> = RefCell::new(seeded());
    }
    GENERATOR.with(|generator| draw(&mut generator.borrow_mut()))
}

fn seeded() -> fastrand::Rng {
    let mut seed = [0; 8];
    match getrandom::fill(&mut seed) {
        Ok(()) => fastrand::Rng::with_seed(u64::from_le_bytes(seed)),
        // Without a system source, time and thread identity still keep ids apart.
        Err(_) => fastrand::Rng::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_what_the_format_forbids() {
        let id = TraceId::random();
        assert_eq!(TraceId::from_hex(&id.to_string()), Some(id));
        assert_eq!(id.to_string().len(), 32);
        assert_eq!(SpanId::random().to_string().len(), 16);
        assert_eq!(TraceId::from_hex(&"0".repeat(32)), None);
        assert_eq!(TraceId::from_hex(&"A".repeat(32)), None);
        assert_eq!(SpanId::from_hex("12345678"), None);
    }

    #[test]
    fn randomness_is_the_low_56_bits() {
        let id = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap();
        assert_eq!(id.randomness(), 0x0048_eb21_1c80_319c);
    }
}
