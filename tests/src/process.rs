//! The program as a child process.
//!
//! Invariant: the child sees nothing of the environment of the tests but where programs are, so that a variable of the
//! developer's (`OPENAI_API_KEY`, `OTEL_…`) changes no test; and it never outlives its [`Process`].

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use crate::capture::Capture;
use crate::{PATIENCE, program};

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// What it writes to stdout.
    pub stdout: Capture,
    /// What it writes to stderr.
    pub stderr: Capture,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to stdout.
    pub stdout: String,
    /// Everything it wrote to stderr.
    pub stderr: String,
}

impl Process {
    /// Starts `semantic-router` with these arguments and variables, in `folder`.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> Process {
        let mut command = Command::new(program());
        command.args(arguments).env_clear().envs(variables.iter().copied()).current_dir(folder);
        Process::spawn(command)
    }

    /// Starts any command, with its output captured and nothing to read.
    pub fn spawn(mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = Capture::of("stdout", child.stdout.take().expect("stdout is a pipe"));
        let stderr = Capture::of("stderr", child.stderr.take().expect("stderr is a pipe"));
        Process { child, stdout, stderr }
    }

    /// The process id, as long as it runs.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("the program has ended already")
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by its name: `TERM`, `INT`, `HUP`.
    pub async fn signal(&self, name: &str) {
        // The shell's own `kill` is on every Unix; a binding to the system call would be one more dependency.
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id())).status().await;
        assert!(status.is_ok_and(|status| status.success()), "the signal {name} could not be sent");
    }

    /// Waits until it ends by itself.
    pub async fn ended(mut self) -> Ended {
        let status: ExitStatus = match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!(
                "the program did not end. stdout:\n{}\nstderr:\n{}",
                self.stdout.text(),
                self.stderr.text()
            ),
        };
        Ended { code: status.code(), stdout: self.stdout.to_end().await, stderr: self.stderr.to_end().await }
    }
}

/// Runs `semantic-router` to its end, in a folder without files.
pub async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Process::start(arguments, variables, folder.path()).ended().await
}

/// The resident memory of a process, in bytes; `None` where the system does not tell.
#[must_use]
pub fn resident_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
