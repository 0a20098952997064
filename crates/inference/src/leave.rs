//! Leave to go on with a long text, asked for piece by piece: whoever waits can end the work and has the processor back.
//!
//! It is not a clock: who gives leave decides by what. Invariant: between two questions lies work on a bounded part of the
//! text, or one pass over it.

use std::convert::Infallible;

/// Bytes of a text that are read between two questions, where a text is read in pieces.
pub const PIECE_BYTES: usize = 64 * 1024;

/// Asked before each piece of work, with the bytes that it will read; an error ends the work and is its result.
pub type Leave<'a, E> = dyn FnMut(usize) -> Result<(), E> + 'a;

/// Leave without end.
pub(crate) fn always(_: usize) -> Result<(), Infallible> {
    Ok(())
}

/// The pieces of a text, each of about [`PIECE_BYTES`], cut between characters.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
