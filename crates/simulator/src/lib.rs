//! An OpenAI-compatible backend with scripted latency, streams and faults.
