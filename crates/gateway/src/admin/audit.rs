//! The line that every change leaves in the log. It names what was done and for which call, and nothing that was sent.

use http::HeaderMap;
use trace::Text;

/// One change, from its request to its end.
pub(super) struct Line {
    action: &'static str,
    request_id: Text,
}

impl Line {
    pub(super) fn new(action: &'static str, headers: &HeaderMap) -> Line {
        let id = headers.get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or("-");
        Line { action, request_id: Text::from_outside(id) }
    }

    /// It was done.
    pub(super) fn done(self) {
        self.write("done");
    }

    /// It was tried and failed.
    pub(super) fn failed(self) {
        self.write("failed");
    }

    /// It was not allowed.
    pub(super) fn refused(self) {
        self.write("refused");
    }

    fn write(self, outcome: &'static str) {
        let Line { action, request_id } = self;
        tracing::info!(target: "audit", action, outcome, request_id = %request_id, "admin change");
    }
}
