//! Envoy in front of the demo, where there is one: the sample of `deploy/envoy` with the demo's addresses.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::commands::Failure;

/// The sample that people are shown.
const CONFIGURATION: &str = include_str!("../../../../../deploy/envoy/envoy.yaml");

/// How long it may take to listen, and how often it is asked.
const START: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// A running Envoy; it ends when this is dropped.
pub(super) struct Envoy {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Envoy {
    /// Starts it in front of a processor.
    ///
    /// # Errors
    ///
    /// When there is no such program, or it ends.
    pub(super) async fn start(
        program: &Path,
        wanted: SocketAddr,
        extproc: SocketAddr,
    ) -> Result<Envoy, Failure> {
        let address = free(wanted).await?;
        let port = |address: SocketAddr| format!("port_value: {}", address.port());
        let yaml = CONFIGURATION
            .replace("port_value: 8801", &port(address))
            .replace("port_value: 50051", &port(extproc))
            .replace("port_value: 8802", "port_value: 0");
        let mut command = Command::new(program);
        command
            .args(["--config-yaml", &yaml, "--concurrency", "1", "--disable-hot-restart", "-l", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| {
            let name = program.display();
            Failure::Running(format!(
                "Envoy cannot start: {name}: {error}; name the program as --envoy=PATH, or run the demo without it"
            ))
        })?;
        let mut envoy = Envoy { child, address };
        tokio::time::timeout(START, envoy.listening()).await.unwrap_or_else(|_| {
            Err(Failure::Running("Envoy does not listen; run the demo without --envoy".to_owned()))
        })?;
        Ok(envoy)
    }

    async fn listening(&mut self) -> Result<(), Failure> {
        while TcpStream::connect(self.address).await.is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                let address = self.address;
                return Err(Failure::Running(format!("Envoy has ended ({status}); is {address} free?")));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// An address that nobody has, with a port of its own where any will do.
pub(super) async fn free(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    let taken = |error| {
        Failure::Running(format!("{wanted} is not free: {error}; choose another with --envoy-listen"))
    };
    let listener = TcpListener::bind(wanted).await.map_err(taken)?;
    listener.local_addr().map_err(taken)
}
