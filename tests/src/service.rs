//! Other people's servers as child processes, on ports that the kernel chooses.
//!
//! Each door of a server is told to listen on a loopback address of its own, port 0; which port it got is read from the
//! kernel's tables, hence Linux only. So nothing collides, and no server has to say where it listens.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::process::Command;

use crate::process::{Ended, Process};

/// How often a condition outside is looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long a server may take to start. Python ones import for half a minute on a loaded machine.
pub const START_LIMIT: Duration = Duration::from_secs(180);

/// A running server.
#[derive(Debug)]
pub struct Service {
    /// The process.
    pub process: Process,
    doors: Vec<SocketAddr>,
}

impl Service {
    /// Starts a server that listens on `127.0.0.N` for each N of `doors`, and waits until it does.
    pub async fn start(command: Command, doors: &[u8]) -> Service {
        let mut process = Process::spawn(command);
        let id = process.id();
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        loop {
            let listening = listening(id);
            let found = doors.iter().map(|door| {
                let wanted = Ipv4Addr::new(127, 0, 0, *door);
                listening.iter().copied().find(|address| address.ip() == wanted)
            });
            if let Some(doors) = found.collect::<Option<Vec<_>>>() {
                return Service { process, doors };
            }
            let waits = process.is_running() && tokio::time::Instant::now() < deadline;
            assert!(waits, "it does not listen, but on {listening:?}. stderr:\n{}", process.stderr.text());
            tokio::time::sleep(TICK).await;
        }
    }

    /// Where the door listens, by its position in what [`Service::start`] was given.
    #[must_use]
    pub fn door(&self, position: usize) -> SocketAddr {
        self.doors[position]
    }

    /// Asks it to end, and waits for that.
    pub async fn end(self) -> Ended {
        self.process.signal("TERM").await;
        self.process.ended().await
    }
}

/// Looks again until there is something. `what` is named when it never comes.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(TICK).await;
        }
    };
    match tokio::time::timeout(crate::PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("there never was {what}"),
    }
}

/// Where a process listens on TCP over IPv4. A door that listens on every address of IPv6 takes IPv4 too, and stands as
/// 127.0.0.1.
fn listening(process: u32) -> BTreeSet<SocketAddr> {
    let folder = format!("/proc/{process}");
    let descriptors = fs::read_dir(format!("{folder}/fd")).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets: BTreeSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| listener(row, &sockets)).collect()
}

/// One row of the kernel's table, which has addresses in hexadecimal and the machine's own order of bytes.
fn listener(row: &str, sockets: &BTreeSet<String>) -> Option<SocketAddr> {
    const LISTEN: &str = "0A";
    let columns: Vec<&str> = row.split_whitespace().collect();
    let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
    if *state != LISTEN || !sockets.contains(&format!("socket:[{inode}]")) {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let ip = match address.len() {
        8 => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes()),
        _ if address.bytes().all(|digit| digit == b'0') => Ipv4Addr::LOCALHOST,
        _ => return None,
    };
    Some(SocketAddr::from((ip, port)))
}
