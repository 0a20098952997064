//! Time per text of each built-in signal.
fn main() {}
