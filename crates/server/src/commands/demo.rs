//! `demo`: the router in front of two simulated models, with nothing else needed. It sends a few requests of its own,
//! shows each as a span tree, and then waits for yours. Files and provider variables are ignored. Where it is asked to, it
//! starts Envoy in front.

mod envoy;
mod requests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settings::{Environment, Source};
use simulator::{Script, Simulator};
use telemetry::AccessLines;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use self::envoy::Envoy;
use super::{Failure, asked_to_end, runtime, say};
use crate::cli::Demo;
use crate::commands::serve::serve;
use crate::compose::application::Application;
use crate::compose::exits;

/// The demo's configuration; the addresses are filled in.
const CONFIGURATION: &str = include_str!("demo/demo.yaml");

/// How long a tree may take to be printed.
const PRINT: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Demo) -> Result<(), Failure> {
    runtime()?.block_on(demo(options))
}

async fn demo(options: &Demo) -> Result<(), Failure> {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let start = |script| async {
        Simulator::start(script, local)
            .await
            .map_err(|error| Failure::Running(format!("a simulated backend cannot start: {error}")))
    };
    let small = start(Script::small_general("llama-3.1-8b")).await?;
    let large = start(Script::large_reasoning("qwen3-32b")).await?;
    let (listener, listen) = open(options.listen).await?;
    // Envoy's own port is not the default one, which may be in use by a router that is no demo.
    let extproc = match &options.envoy {
        Some(_) => Some(envoy::free(local).await?),
        None => None,
    };
    let application = application(listen, extproc, small.address(), large.address())?;
    let toured = Notify::new();
    let asked = asked_to_end();
    let end = async {
        tokio::select! {
            () = asked => {}
            () = toured.notified() => {}
        }
    };
    let (served, tour) = tokio::join!(serve(&application, Some(listener), end), async {
        let tour = front(options, extproc).await;
        let tour = match tour {
            Ok(envoy) => {
                let door = envoy.as_ref().map_or(listen, |envoy| envoy.address);
                let tour = tour_through(&application, listen, door, options.once).await;
                if !options.once && tour.is_ok() {
                    say(&requests::invitation(door, listen));
                }
                tour.map(|()| envoy)
            }
            Err(failure) => Err(failure),
        };
        if options.once || tour.is_err() {
            toured.notify_one();
        }
        tour
    });
    application.flush().await;
    small.shutdown().await;
    large.shutdown().await;
    served.and(tour.map(drop))
}

/// Envoy, if it was asked for.
async fn front(options: &Demo, extproc: Option<SocketAddr>) -> Result<Option<Envoy>, Failure> {
    match (&options.envoy, extproc) {
        (Some(program), Some(extproc)) => {
            Envoy::start(program, options.envoy_listen, extproc).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The listener, with its address: port 0 takes a free one.
async fn open(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let in_use = |error: std::io::Error| {
        let advice = "try `semantic-router demo --listen 127.0.0.1:8090`";
        Failure::Running(format!("the demo cannot listen on {wanted}: {error}; {advice}"))
    };
    let listener = TcpListener::bind(wanted).await.map_err(in_use)?;
    let address = listener.local_addr().map_err(in_use)?;
    Ok((listener, address))
}

fn application(
    listen: SocketAddr,
    extproc: Option<SocketAddr>,
    small: SocketAddr,
    large: SocketAddr,
) -> Result<Arc<Application>, Failure> {
    let yaml = CONFIGURATION
        .replace("LISTEN", &listen.to_string())
        .replace("EXTPROC", &extproc.map_or("true".to_owned(), |address| format!("\"{address}\"")))
        .replace("SMALL", &small.to_string())
        .replace("LARGE", &large.to_string());
    let source = Source::Text { name: "the demo's configuration".to_owned(), yaml };
    let loaded = settings::load(source.clone(), &[], &Environment::default())
        .map_err(|problems| Failure::Configuration(problems.to_string()))?;
    exits::start_logging(&loaded.settings).map_err(Failure::Configuration)?;
    let application =
        Application::build(loaded, source, Vec::new(), AccessLines::Off).map_err(Failure::Running)?;
    Ok(Arc::new(application))
}

/// Sends the suggested requests one after the other, and shows what came back and how.
async fn tour_through(
    application: &Arc<Application>,
    listen: SocketAddr,
    door: SocketAddr,
    once: bool,
) -> Result<(), Failure> {
    say(&requests::welcome(listen, once));
    if door != listen {
        say(&format!("Envoy listens on http://{door} and asks the router; the requests go through it."));
    }
    let client = requests::Client::new(door).map_err(Failure::Running)?;
    for (number, suggested) in requests::SUGGESTED.iter().enumerate() {
        say(&format!("\n━━ {}. {}\n   > {}", number + 1, suggested.title, suggested.prompt));
        let told = client.send(suggested).await.map_err(Failure::Running)?;
        say(&format!("   < {told}\n"));
        application.exits.flush(PRINT).await;
    }
    Ok(())
}
