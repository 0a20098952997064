//! JSON by position: where each value stands, without building a tree.
//!
//! serde_json tells what a value is but not where it stands, and reading nested raw values with it walks
//! the same bytes once per level. This scanner walks once and hands out spans. It accepts what serde_json
//! accepts (a property test compares the two).

mod literal;
mod scan;
mod splice;

pub(crate) use literal::{decode, encode, encode_body};
pub(crate) use scan::{Kind, Literal, Scanner, Span, SyntaxError};
pub(crate) use splice::Splices;

#[cfg(test)]
mod tests;
