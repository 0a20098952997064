//! Benchmarks of the whole process.
