//! `icecore serve`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::log::NOTE;
use crate::cli::open::who;
use crate::cli::output::to_stdout;
use crate::endpoint::{self, Shelves};
use crate::store::StoreWriter;
use std::net::SocketAddr;
use std::sync::Arc;

/// Serve the store in --local DIR through the EBS direct APIs, EC2 and STS, on one loopback port
///
/// The first line on standard output holds the URL, once it listens. An empty or missing DIR becomes a store. Any
/// key pair is taken, requests without one are not. Ends at SIGINT or SIGTERM.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Listen here: a loopback address, and a port or 0 for any
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.replacen("localhost:", "127.0.0.1:", 1);
    numeric.parse().map_err(|_| "expected an address and a port, as in 127.0.0.1:4599".to_owned())
}

pub(crate) async fn run(args: Args, cx: &Context) -> Result<Exit, Complaint> {
    cx.text_only()?;
    let Some(dir) = &cx.global().local else {
        return Err(Complaint::Usage("no store to serve; give --local DIR or set ICECORE_LOCAL".to_owned()));
    };
    let store = StoreWriter::open_or_create(dir, &who("serve"))?;
    let config = endpoint::Config { listen: args.listen, ..endpoint::Config::default() };
    let running = endpoint::start(config, Shelves::writable(Arc::new(store))).await?;
    let url = running.url();
    to_stdout(|out| writeln!(out, "listening on {url}"))?;
    tracing::info!(target: NOTE, "for the AWS CLI and SDKs: AWS_ENDPOINT_URL_EBS={url} AWS_ENDPOINT_URL_EC2={url}");
    cx.stop().requested().await;
    running.stop().await;
    Ok(Exit::Clean)
}
