//! One request's record: ids, W3C propagation, timings, findings, semantic conventions as pure mappings.
