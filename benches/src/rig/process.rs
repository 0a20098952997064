//! Programs that run beside the measurement, and what the kernel says of them.
//!
//! Invariant: a program never outlives its [`Process`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Failure;

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running program that listens.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where Envoy asks it, if it is a router.
    pub(crate) extproc: Option<SocketAddr>,
    /// Where it tells its metrics, if it does.
    metrics: Option<SocketAddr>,
    /// Also counted as its own: nginx works in a child of its master.
    pids: Vec<u32>,
}

impl Process {
    /// The simulator of `router`, in its fast mode.
    pub(crate) fn simulator(router: &Path) -> Result<Process, Failure> {
        let address = free_address()?;
        let mut command = clean(router);
        command.args(["simulate", "--fast", "--any-model", "--listen", &address.to_string()]);
        Process::start(command, address)
    }

    /// `router` with a configuration; its traces go nowhere.
    pub(crate) fn router(router: &Path, folder: &Path, name: &str, yaml: &str) -> Result<Process, Failure> {
        Process::router_to(router, folder, name, yaml, Stdio::null())
    }

    /// `router` with a configuration and a place for its traces.
    pub(crate) fn router_to(
        router: &Path,
        folder: &Path,
        name: &str,
        yaml: &str,
        stdout: Stdio,
    ) -> Result<Process, Failure> {
        let (address, metrics, extproc) = (free_address()?, free_address()?, free_address()?);
        let file = folder.join(format!("{name}.yaml"));
        let listen = format!(
            "listen: {{ http: \"{address}\", metrics: \"{metrics}\", admin: off, extproc: \"{extproc}\" }}"
        );
        std::fs::write(&file, format!("{listen}\n{yaml}"))?;
        let mut command = clean(router);
        command.arg("--config").arg(&file).stdout(stdout);
        command.stderr(File::create(folder.join(format!("{name}.log")))?);
        let mut process = Process::start(command, address).map_err(|error| {
            let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
            format!("{error}\n{log}")
        })?;
        process.metrics = Some(metrics);
        process.extproc = Some(extproc);
        Ok(process)
    }

    /// nginx with one worker and one static answer.
    pub(crate) fn nginx(nginx: &Path, folder: &Path) -> Result<Process, Failure> {
        let address = free_address()?;
        let folder = folder.join("nginx");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("nginx.conf");
        std::fs::write(&file, nginx_configuration(address, &folder))?;
        let mut command = clean(nginx);
        command.arg("-p").arg(&folder).arg("-e").arg(folder.join("error.log")).arg("-c").arg(&file);
        let mut process = Process::start(command, address)?;
        process.pids.extend(children_of(process.child.id()));
        Ok(process)
    }

    /// Any program that will listen there.
    pub(crate) fn start(mut command: Command, address: SocketAddr) -> Result<Process, Failure> {
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let pids = vec![child.id()];
        let mut process = Process { child, address, extproc: None, metrics: None, pids };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{command:?} ended with {status} before it listened").into());
            }
            if Instant::now() > until {
                return Err(format!("{command:?} does not listen on {address}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// Processor time that each of its threads has had so far, to the nanosecond, by the kernel's number of the thread.
    pub(crate) fn thread_times(&self) -> HashMap<u32, Duration> {
        self.pids.iter().flat_map(|pid| thread_times_of(*pid).unwrap_or_default()).collect()
    }

    /// Traces that its exporters have refused so far, since their queues were full.
    pub(crate) fn dropped_traces(&self) -> u64 {
        let Some(address) = self.metrics else { return 0 };
        let text = get_metrics(address).unwrap_or_default();
        let counters = text.lines().filter(|line| line.starts_with("traces_export_dropped_total{"));
        // Log lines per request have a queue of their own.
        let exporters = counters.filter(|line| !line.contains("\"access"));
        exporters.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Resident memory, in kB.
    pub(crate) fn memory_kb(&self) -> u64 {
        self.pids.iter().map(|pid| resident_kb(*pid).unwrap_or(0)).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Children first: a master that is killed does not end its workers.
        for pid in self.pids.iter().filter(|pid| **pid != self.child.id()) {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on the PATH, or where Debian keeps those of administrators.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A command that sees nothing of this environment: a variable of the user's changes no figure.
pub(crate) fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn get_metrics(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn nginx_configuration(address: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    let answer = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"The derivative is 3x^2 + 2, since the power rule holds for each term of it."},"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":18,"total_tokens":42}}"#;
    format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 512; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {address}; location / {{ default_type application/json; return 200 '{answer}'; }} }}
}}
"
    )
}

fn children_of(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The first field of `/proc/PID/task/TID/schedstat`: nanoseconds on a processor (the kernel's sched-stats).
fn thread_times_of(pid: u32) -> Option<Vec<(u32, Duration)>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let time = |task: std::fs::DirEntry| {
        let thread = task.file_name().to_str()?.parse().ok()?;
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        Some((thread, Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?)))
    };
    Some(tasks.flatten().filter_map(time).collect())
}

fn resident_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
