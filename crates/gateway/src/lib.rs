//! The doors through which requests come.
