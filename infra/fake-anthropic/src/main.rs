//! `nightshift-fake-anthropic`: the fake API as a process of its own, on the machine's clock and on loopback.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use nightshift_engine::SystemClock;
use nightshift_fake_anthropic::{Fake, Options};

/// A strict, scriptable stand-in for Anthropic's Messages and Message Batches APIs
///
/// Prints its URL on standard output and serves until it is stopped. `POST /_fake/script` tells it what to answer,
/// `GET /_fake/requests` shows what it was asked. Any API key is accepted; nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long)]
    port: u16,
    /// Directory that keeps batches, script and log over restarts
    #[arg(long)]
    state_dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
        .await
        .with_context(|| format!("failed to listen on 127.0.0.1:{}", arguments.port))?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let options = Options {
        clock: Arc::new(SystemClock),
        state_dir: arguments.state_dir,
        base_url: base_url.clone(),
        mcp_origins: BTreeMap::new(),
    };
    let fake = Fake::open(options)?;
    announce(&base_url);
    axum::serve(listener, fake.router()).await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the URL is this program's data")]
fn announce(url: &str) {
    println!("{url}");
}
