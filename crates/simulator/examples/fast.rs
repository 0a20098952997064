//! The fast mode on a fixed port, to be measured from outside:
//!
//! ```text
//! cargo run --release -p simulator --example fast -- 127.0.0.1:9000
//! wrk -t1 -c64 -d5s -s post.lua http://127.0.0.1:9000/v1/chat/completions
//! ```

use std::error::Error;
use std::io::Write as _;

use simulator::command::{Options, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into()).parse()?;
    let options = Options { listen, fast: true, ..Options::default() };
    let announce = |address| {
        // Whoever closed standard output does not want to read the address.
        let _ = writeln!(std::io::stdout(), "http://{address}");
    };
    serve(options, announce, std::future::pending()).await?;
    Ok(())
}
