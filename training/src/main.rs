//! Trains the built-in models.
fn main() {}
