//! What a child process writes, line by line, and ways to wait for it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use crate::PATIENCE;

/// The text that has come out of one pipe so far.
#[derive(Clone, Debug)]
pub struct Capture {
    name: &'static str,
    text: watch::Receiver<String>,
}

impl Capture {
    /// Reads a pipe to its end, in a task of its own. `name` stands in messages.
    pub fn of(name: &'static str, mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Capture {
        let (sender, text) = watch::channel(String::new());
        tokio::spawn(async move {
            let mut pending = Vec::new();
            let mut piece = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut piece).await {
                pending.extend_from_slice(&piece[..count]);
                // Whole lines only: half a line matches conditions that the whole one does not.
                let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { continue };
                let rest = pending.split_off(end + 1);
                let lines = std::mem::replace(&mut pending, rest);
                sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&lines)));
            }
            sender.send_modify(|text| text.push_str(&String::from_utf8_lossy(&pending)));
        });
        Capture { name, text }
    }

    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.text.borrow().clone()
    }

    /// Waits until `find` finds something in the text, and gives it back. Fails the test when the pipe ends without it.
    pub async fn until<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let mut text = self.text.clone();
        let mut found = None;
        let waiting = text.wait_for(|text| {
            found = find(text);
            found.is_some()
        });
        let reason = match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(_)) => "",
            Ok(Err(_)) => "it ended",
            Err(_) => "the time ran out",
        };
        found.unwrap_or_else(|| panic!("{} never had {what}: {reason}. It has:\n{}", self.name, self.text()))
    }

    /// Waits until the text contains `part`.
    pub async fn until_contains(&self, part: &str) {
        self.until(&format!("{part:?}"), |text| text.contains(part).then_some(())).await;
    }

    /// Waits until the pipe is closed; everything that came.
    pub async fn to_end(&self) -> String {
        self.to_end_within(PATIENCE).await
    }

    async fn to_end_within(&self, limit: Duration) -> String {
        let mut text = self.text.clone();
        let closed = async { while text.changed().await.is_ok() {} };
        let in_time = tokio::time::timeout(limit, closed).await.is_ok();
        assert!(in_time, "{} did not end. It has:\n{}", self.name, self.text());
        self.text()
    }
}
