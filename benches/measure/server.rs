//! An endpoint in a process of its own, over volumes that cost the server next to nothing.
//!
//! The bench starts itself again to serve. What is measured is the client: the server shares the machine's cores
//! with it, so contents lie ready in memory and nothing is hashed.

#![allow(dead_code, reason = "each bench uses its part")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails where it cannot measure")]
#![allow(clippy::disallowed_methods, reason = "the latency is real, and waits where the shelf's I/O would")]

use icecore::block::{BlockIndex, BlockSize, Digest, GiB};
use icecore::endpoint::{self, Config, Quotas, Shelves};
use icecore::fault::Fault;
use icecore::shelf::{Content, Entry, Shelf, Shelved};
use icecore::snapshot::SnapshotId;
use icecore::synthetic::{Recipe, SyntheticShelf};
use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Volumes by their place on the shelf.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Volume {
    /// 64 TiB, every block written; its second generation rewrites every fourth.
    Huge = 0,
    /// 2 TiB, every block written.
    Large = 1,
    /// 1 TiB, every 64th block written: 16 GiB.
    Sparse = 2,
    /// 4 GiB, every block written.
    Image = 3,
    /// 200 GiB in [`LINEAGE`] generations, each of which rewrites every block.
    Lineage = 4,
}

/// Generations of [`Volume::Lineage`].
pub(crate) const LINEAGE: u32 = 24;

impl Volume {
    pub(crate) fn id(self, generation: u32) -> String {
        SyntheticShelf::id(self as u32, generation).to_string()
    }
}

/// All of them.
pub(crate) fn shelf() -> SyntheticShelf {
    let recipe = |seed, gib, first, edits| Recipe {
        seed,
        size: GiB::try_from(gib).unwrap(),
        first: NonZeroU32::new(first).unwrap(),
        edits: NonZeroU32::new(edits).unwrap(),
    };
    SyntheticShelf::new(vec![
        (recipe(1, 65_536, 1, 4), 2),
        (recipe(2, 2_048, 1, 4), 1),
        (recipe(3, 1_024, 64, 4), 1),
        (recipe(4, 4, 1, 4), 1),
        (recipe(5, 200, 1, 1), LINEAGE),
    ])
}

/// The synthetic shelf with other contents, made once, and slow to answer if that is wanted.
#[derive(Debug)]
struct Ready {
    inner: SyntheticShelf,
    contents: Vec<Content>,
    latency: Duration,
}

impl Ready {
    fn new(latency: Duration) -> Self {
        let mut numbers = 1_u64;
        let mut number = || {
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (numbers ^ (numbers >> 33)).to_le_bytes()
        };
        let contents = (0..64).map(|_| {
            let bytes: Vec<u8> = (0..BlockSize::EBS.buffer_len() / 8).flat_map(|_| number()).collect();
            Content { digest: Digest::of(&bytes), bytes: bytes.into() }
        });
        Self { inner: shelf(), contents: contents.collect(), latency }
    }

    fn wait(&self) {
        if !self.latency.is_zero() {
            std::thread::sleep(self.latency);
        }
    }
}

impl Shelf for Ready {
    fn secret(&self) -> [u8; 32] {
        self.inner.secret()
    }

    fn list(&self) -> Result<Vec<Shelved>, Fault> {
        self.inner.list()
    }

    fn find(&self, id: &SnapshotId) -> Result<Option<Shelved>, Fault> {
        self.inner.find(id)
    }

    fn window(&self, id: &SnapshotId, from: BlockIndex, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.wait();
        self.inner.window(id, from, limit)
    }

    fn read(&self, _: &SnapshotId, index: BlockIndex) -> Result<Option<Content>, Fault> {
        self.wait();
        Ok(Some(self.contents[index.get() as usize % self.contents.len()].clone()))
    }
}

/// A server in another process, gone with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// Starts this program again, to serve. Answers take so many milliseconds more.
    pub(crate) fn start(latency_ms: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serve", &latency_ms.to_string()]);
        Self::of(command)
    }

    /// The same, keeping the quotas of an AWS account: every answer takes so many milliseconds at least.
    pub(crate) fn with_quotas(latency_ms: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serve", &latency_ms.to_string(), "quotas"]);
        Self::of(command)
    }

    /// A program whose first line ends with its URL.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        Self { child, url }
    }

    /// `icecore` on this server, its state in a directory of the bench's own.
    pub(crate) fn icecore(&self, state: &std::path::Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_icecore"));
        command.env("AWS_ACCESS_KEY_ID", "AKBENCH").env("AWS_SECRET_ACCESS_KEY", "bench");
        command.args(["--region", "us-east-1", "--endpoint-url", &self.url, "--quiet", "--state-dir"]);
        command.arg(state);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves if that is what this program was started for; then never returns.
pub(crate) fn serve_if_asked() {
    let words: Vec<String> = std::env::args().collect();
    let [_, verb, latency, rest @ ..] = words.as_slice() else { return };
    if verb != "serve" {
        return;
    }
    let latency = Duration::from_millis(latency.parse().unwrap());
    let (shelf, config) = match rest.is_empty() {
        true => (Ready::new(latency), Config::default()),
        false => (Ready::new(Duration::ZERO), Config { latency, quotas: Quotas::Aws, ..Config::default() }),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let shelves = Shelves::read_only(Arc::new(shelf));
        let running = endpoint::start(config, shelves).await.unwrap();
        println!("listening on {}", running.url());
        std::future::pending::<()>().await;
    });
}
