//! The relay alone: `socketlab serve` without the labs' engine. Small enough to be built quickly; the tests that need a
//! relay in a process of its own, and the benchmark, start this one.

use clap::Parser;
use socketlab_server::ServeOptions;

/// Serves the page and carries its connections to real servers.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: ServeOptions,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    socketlab_server::serve(Arguments::parse().options).await
}
