//! `icecore serve`.

use crate::cli::complaint::Complaint;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use std::net::SocketAddr;

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
    crate::cli::pending::serve(args.listen, cx)
}
