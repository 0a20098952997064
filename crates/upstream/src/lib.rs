//! Bytes to and from a backend: client, balancing, health, retry.
