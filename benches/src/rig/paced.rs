//! Load at a given rate, whatever the answers take (an open loop): requests come at random moments, independent of each
//! other, as those of many users do.
//!
//! Each client is a thread with one connection and a timetable of its own. A latency counts from the moment on the
//! timetable if the client was still busy then, which is what a user would have waited; and from the moment of sending if
//! the client was free but the kernel woke it late, which is no fault of whom it measures.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Failure;
use super::load::{Form, Slice, request, whole_length};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests before the clock starts, by the length of the slice.
const WARM_UP: Duration = Duration::from_millis(150);

/// Sends `rate` requests a second from `clients` connections for a time. `begin` is called when the clock starts. The
/// moments depend on `seed` alone, so that all contenders of a round get the same ones.
pub(crate) fn run(
    address: SocketAddr,
    rate: f64,
    clients: usize,
    duration: Duration,
    seed: u64,
    begin: impl FnOnce(),
) -> Result<Slice, Failure> {
    let request = request(address, Form::Json);
    let each = rate / clients as f64;
    let from = Instant::now() + WARM_UP;
    let until = from + duration;
    std::thread::scope(|scope| {
        let request = &request;
        let spawn = |number: usize| {
            let random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
            scope.spawn(move || client(address, request, each, random, from, until))
        };
        let clients: Vec<_> = (0..clients).map(spawn).collect();
        std::thread::sleep(from.saturating_duration_since(Instant::now()));
        begin();
        let mut latencies_ns = Vec::new();
        for client in clients {
            latencies_ns.extend(client.join().map_err(|_| "a client panicked")??);
        }
        latencies_ns.sort_unstable();
        Ok(Slice { latencies_ns, elapsed: duration })
    })
}

/// Works off a timetable; the latencies of what was on it from `from` on.
fn client(
    address: SocketAddr,
    request: &[u8],
    rate: f64,
    mut random: fastrand::Rng,
    from: Instant,
    until: Instant,
) -> Result<Vec<u64>, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; 1 << 16];
    let mut latencies = Vec::with_capacity(1 << 14);
    let mut due = Instant::now();
    loop {
        // Times between independent arrivals are distributed exponentially.
        due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        if due >= until {
            return Ok(latencies);
        }
        let wait = due.saturating_duration_since(Instant::now());
        let start = if wait.is_zero() {
            due
        } else {
            std::thread::sleep(wait);
            Instant::now()
        };
        exchange(&mut stream, request, &mut buffer)?;
        if due >= from {
            latencies.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// Sends a request and reads its answer, which must be a success of a known length.
fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) -> Result<(), Failure> {
    stream.write_all(request)?;
    let (mut length, mut whole) = (0, None);
    loop {
        let read = stream.read(&mut buffer[length..])?;
        if read == 0 {
            return Err("the connection was closed within an answer, or the answer is too long".into());
        }
        length += read;
        if whole.is_none() {
            whole = whole_length(&buffer[..length])?;
        }
        if whole.is_some_and(|whole| length >= whole) {
            return Ok(());
        }
    }
}
