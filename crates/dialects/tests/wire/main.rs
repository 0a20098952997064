//! Golden and property tests over the public API; `tests/fixtures/README.md` says where the fixtures are from.

#![cfg(test)]

mod answers;
mod canonical;
mod edits;
mod fixtures;
mod properties;
mod requests;
mod streams;
