//! What happens to a request and to its answer; no I/O of its own.
