//! End-to-end tests of the whole process with real clients and collectors.
