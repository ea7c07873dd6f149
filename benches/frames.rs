//! Claims that hashing in batches costs no time where few requests are in flight: with 4 of them, a download that
//! waits for batches is no slower than one that hashes every frame as it comes in, and takes less of the processor.
//!
//! ```text
//! cargo bench --no-default-features --bench frames
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;
#[path = "measure/server.rs"]
mod server;

use aws_credential_types::Credentials;
use aws_sdk_ebs::config::{BehaviorVersion, Region};
use futures_util::StreamExt;
use measure::{Run, median, run};
use server::{Server, Volume, serve_if_asked};
use sha2::{Digest, Sha256};
use std::process::Command;

const BYTES: f64 = 4.294_967_296;
const BLOCKS: i32 = 8192;
const IN_FLIGHT: usize = 4;
const TURNS: usize = 5;

fn main() {
    serve_if_asked();
    let words: Vec<String> = std::env::args().collect();
    if let [_, verb, url] = words.as_slice()
        && verb == "frames"
    {
        frame_by_frame(url);
        return;
    }
    println!("{:44} {:>7} {:>10}", "4 GiB, 4 in flight", "GB/s", "cpu-s/GB");
    for latency in [0, 5] {
        let (server, state) = (Server::start(latency), tempfile::tempdir().unwrap());
        let (mut frames, mut batches) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let mut command = Command::new(std::env::current_exe().unwrap());
            frames.push(run(command.args(["frames", &server.url])));
            let export = ["export", &Volume::Image.id(0), "--to-null", "--concurrency", "4"];
            batches.push(run(server.icecore(state.path()).args(export)));
        }
        for (name, runs) in [("frame by frame", frames), ("in batches", batches)] {
            let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
            let (speed, cpu) = (BYTES / middle(|run| run.seconds), middle(|run| run.cpu_seconds) / BYTES);
            println!("{:44} {speed:>7.2} {cpu:>10.3}", format!("{name}, {latency} ms"));
        }
    }
}

/// The simplest download there is: no retries, no sink, each body hashed on its way in.
fn frame_by_frame(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let config = aws_sdk_ebs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(url)
            .credentials_provider(Credentials::new("AKBENCH", "bench", None, None, "bench"))
            .http_client(aws_smithy_http_client::Builder::new().build_http());
        let client = aws_sdk_ebs::Client::from_conf(config.build());
        let id = Volume::Image.id(0);
        let page = client.list_snapshot_blocks().snapshot_id(&id).max_results(10_000).send().await.unwrap();
        assert_eq!(page.blocks().len(), usize::try_from(BLOCKS).unwrap());
        let blocks = page.blocks.unwrap_or_default();
        let fetches = blocks.into_iter().map(|block| {
            let (client, id) = (client.clone(), id.clone());
            tokio::spawn(async move {
                let ask = client.get_snapshot_block().snapshot_id(id).block_index(block.block_index.unwrap());
                let reply = ask.block_token(block.block_token.unwrap()).send().await.unwrap();
                let (claimed, mut body) = (reply.checksum.unwrap(), reply.block_data);
                let mut hasher = Sha256::new();
                while let Some(frame) = body.next().await {
                    hasher.update(frame.unwrap());
                }
                let digest: [u8; 32] = hasher.finalize().into();
                assert_eq!(icecore::block::Digest::from_base64(&claimed).unwrap().as_bytes(), &digest);
            })
        });
        // A task is started when it is asked for: as many as are in flight.
        let mut fetched = futures_util::stream::iter(fetches).buffer_unordered(IN_FLIGHT);
        while let Some(done) = fetched.next().await {
            done.unwrap();
        }
    });
}
