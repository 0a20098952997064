//! A serving router: its configuration file, its doors, and what it leaves behind.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::client::Client;
use crate::configuration::Configuration;
use crate::process::{Ended, Process};
use crate::span::{self, Span};
use crate::tree;

/// A running `semantic-router serve`.
#[derive(Debug)]
pub struct Router {
    /// The process.
    pub process: Process,
    /// Where its doors are.
    address: SocketAddr,
    /// Holds the configuration file; removed when dropped.
    folder: TempDir,
}

/// What a router left behind.
#[derive(Debug)]
pub struct Left(pub Ended);

impl Router {
    /// Starts with a configuration and waits until it listens.
    pub async fn start(configuration: Configuration) -> Router {
        Router::start_with(configuration, &[], &[]).await
    }

    /// Starts with further arguments and with variables.
    pub async fn start_with(
        configuration: Configuration,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Router {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, configuration.yaml()).expect("the configuration can be written");
        let mut all = vec!["--config", file.to_str().expect("the path is text")];
        all.extend_from_slice(arguments);
        let process = Process::start(&all, variables, folder.path());
        Router::listening(process, folder).await
    }

    /// Takes over a process that was started in `folder`, once it listens.
    pub async fn listening(process: Process, folder: TempDir) -> Router {
        let address = door(&process, "http").await;
        Router { process, address, folder }
    }

    /// A client of the HTTP door.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }

    /// The HTTP door, as clients of the API want it.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The HTTP door.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of another door: `metrics`, `admin`.
    pub async fn door(&self, name: &str) -> Client {
        Client::of(door(&self.process, name).await)
    }

    /// Where Envoy asks.
    pub async fn extproc(&self) -> SocketAddr {
        door(&self.process, "extproc").await
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Asks it to end, and waits for that; it ends well and has not panicked.
    pub async fn end(self) -> Left {
        self.process.signal("TERM").await;
        let ended = self.process.ended().await;
        assert_eq!(ended.code, Some(0), "the router did not end well:\n{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "the router panicked:\n{}", ended.stderr);
        Left(ended)
    }
}

/// Waits for the log line that says where a door is: `listening door=http address=127.0.0.1:4711`.
async fn door(process: &Process, name: &str) -> SocketAddr {
    let wanted = format!("door={name}");
    let found = |text: &str| {
        let line = text.lines().find(|line| line.contains(" listening ") && line.contains(&wanted))?;
        line.split_whitespace().find_map(|word| word.strip_prefix("address="))?.parse().ok()
    };
    process.stderr.until(&format!("the address of the door {name}"), found).await
}

impl Left {
    /// The span tree of a trace, as people read it, with all that varies from run to run masked.
    #[must_use]
    pub fn tree(&self, trace_id: &str) -> String {
        tree::masked(&tree::find(&self.0.stdout, trace_id).unwrap_or_else(|| {
            panic!("there is no tree of {trace_id}. stdout:\n{}\nstderr:\n{}", self.0.stdout, self.0.stderr)
        }))
    }

    /// The spans of a trace, the root first, as the JSON exporter printed them.
    #[must_use]
    pub fn spans(&self, trace_id: &str) -> Vec<Span> {
        let spans = span::of_trace(&self.0.stdout, trace_id);
        assert!(!spans.is_empty(), "there are no spans of {trace_id}. stdout:\n{}", self.0.stdout);
        spans
    }
}
