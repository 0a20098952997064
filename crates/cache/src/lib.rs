//! What was answered before: the embedded index.
