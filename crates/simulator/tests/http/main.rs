//! The simulator as its clients see it, over real connections.
#![cfg(test)]

mod endpoints;
mod faults;
mod leaving;
mod support;
mod tracing;
