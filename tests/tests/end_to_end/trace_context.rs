//! The W3C's own test suite for Trace Context, at level 2, against the headers that a backend would get.
//!
//! On demand: the suite is no part of this repository and nobody installs it. Where
//! `SEMANTIC_ROUTER_TRACE_CONTEXT_SUITE` names a checkout, every case has to pass. The same rules as a table of our own
//! are always tested, in the crate `trace`.

use std::net::TcpListener;

use tests::bounded;
use tests::process::Process;
use tests::real_parts::{TRACE_CONTEXT_SUITE, found, long};
use tokio::process::Command;

/// The cases that the suite has at level 2; fewer would mean that some did not run.
const CASES: usize = 41;

#[test]
fn the_official_suite_passes() {
    let named = std::env::var_os(TRACE_CONTEXT_SUITE).is_some_and(|path| !path.is_empty());
    if !named && !long() {
        return;
    }
    let Some(checkout) = found("trace_context::the_official_suite_passes", TRACE_CONTEXT_SUITE) else {
        return;
    };
    bounded(async {
        let server = tests::example("trace_context_harness");
        let mut command = Command::new(&server);
        command.arg("0");
        let server = Process::spawn(command);
        let address = |text: &str| text.trim().strip_prefix("listening on ").map(str::to_owned);
        let address = server.stdout.until("its address", address).await;

        let python = std::env::var_os("SEMANTIC_ROUTER_TRACE_CONTEXT_PYTHON");
        let mut command = Command::new(python.unwrap_or_else(|| "python3".into()));
        // No files beside the sources.
        command.arg("-B").arg("test.py").arg(&address).current_dir(checkout.join("test"));
        command.env("SPEC_LEVEL", "2").env("STRICT_LEVEL", "2").env("HARNESS_PORT", free_port().to_string());
        let ended = Process::spawn(command).ended().await;
        let told = format!("{}\n{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(0), "{told}");
        let ran = ended.stderr.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next());
        let ran: usize = ran.and_then(|count| count.parse().ok()).expect("the suite says how many cases ran");
        assert!(ran >= CASES && !told.contains("skipped"), "not every case ran: {told}");
    });
}

/// A port for the suite's own server, which writes its number into what it sends and so cannot take 0.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the kernel has a port");
    listener.local_addr().expect("a bound socket has an address").port()
}
