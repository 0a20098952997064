//! The words on the wire: OpenAI requests, answers, SSE frames and errors; lossless editing.
