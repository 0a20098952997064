//! The semantic router: one binary.
fn main() {}
