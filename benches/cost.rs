//! Claims that the model is small and fast: all figures of 1,000 snapshots of 1 TiB, each with 1 % churn, in under 2 s
//! and 1 GiB on two cores, growing with the number of snapshots; and 100 snapshots of a fully written 64 TiB volume
//! within 2 GiB. And that listing many snapshots side by side uses up the quota: over 95 % of 50 requests a second,
//! against an endpoint that keeps AWS's and takes 100 ms an answer, with all of it asked for (`--quota-share 1`).
//!
//! ```text
//! cargo bench --no-default-features --bench cost [-- quick]
//! ```
//!
//! `quick` takes a tenth of the snapshots, and leaves out the volume of 64 TiB and the quota.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;
#[path = "measure/server.rs"]
mod server;

use icecore::aws::{Deadlines, Local, Session};
use icecore::block::{BlockIndex, BlockRange, BlockSet};
use icecore::cost::{Layer, PriceTable, Usd, Versions};
use icecore::monitor::Silent;
use icecore::ops::cost::{Facts, Options, Selection, measure_these};
use icecore::ops::{Engine, Services};
use icecore::pipeline::{Settings, Stop};
use icecore::shelf::Shelf;
use measure::{forget_peak, memory, seconds};
use server::{LINEAGE, Server, Volume, serve_if_asked, shelf};
use std::sync::Arc;

/// Blocks of a TiB.
const TIB: u32 = 1 << 21;

/// A full volume, then snapshots that each rewrite a hundredth of it here and there.
fn chain(snapshots: usize, n_blocks: u32) -> Vec<Layer> {
    let mut random = fastrand::Rng::with_seed(7);
    let full = BlockSet::from(BlockRange::new(BlockIndex::ZERO, n_blocks));
    let mut layers = vec![Layer::first(full)];
    for at in 1..snapshots {
        let written: BlockSet =
            (0..n_blocks / 100).map(|_| BlockIndex::new(random.u32(0..n_blocks))).collect();
        layers.push(Layer::upon(at - 1, written, BlockSet::new()));
    }
    layers
}

fn figures(name: &str, snapshots: usize, n_blocks: u32) {
    forget_peak();
    let layers = chain(snapshots, n_blocks);
    let sets = memory("self", "VmRSS");
    let mut total = 0;
    let took = seconds(|| {
        let versions = Versions::of(&layers);
        let attributed: u64 = versions.attributed().into_iter().sum();
        assert!(attributed == versions.total() && versions.unique().len() == snapshots);
        total = versions.total();
    });
    let each = took * 1e3 / snapshots as f64;
    println!("{name:44} {took:>8.2} {each:>12.3} {sets:>9.1} {:>9.1} {total:>14}", memory("self", "VmHWM"));
}

/// A lineage listed side by side, as fast as AWS's quota lets.
fn within_the_quota() {
    const QUOTA: u32 = 50;
    let server = Server::with_quotas(100);
    let local = Local {
        url: server.url.clone(),
        access_key_id: "AKBENCH".to_owned(),
        secret_access_key: "bench".to_owned(),
        region: "us-east-1".to_owned(),
    };
    let session = Session::local(local, Deadlines::default()).unwrap();
    let services = Services::reached(&session, server.url.clone(), Usd::ZERO);
    let members: Vec<String> = (0..LINEAGE).map(|generation| Volume::Lineage.id(generation)).collect();
    let infos = shelf().list().unwrap().into_iter().map(|shelved| shelved.info);
    let facts = Facts::of(infos.filter(|info| members.contains(&info.id.to_string())).collect());
    let options = Options {
        shown: Selection::default(),
        prices: PriceTable::listed().region("us-east-1").unwrap(),
        compare: 8,
        keeps_listings: false,
        max_requests: None,
        deadline: None,
        bin_days: None,
        verified: None,
    };
    let state = tempfile::tempdir().unwrap();
    let settings = Settings { lists_per_second: Some(QUOTA), ..Settings::open(state.path().to_owned()) };
    let engine = Engine::new(settings, Arc::new(Silent), Stop::new());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut spent = None;
    let took = seconds(|| {
        let measured = runtime.block_on(measure_these(facts, &options, &services, &engine)).unwrap();
        spent = Some(measured.report(None, None).spent.requests);
    });
    let requests = spent.unwrap();
    let rate = requests.list as f64 / took;
    println!(
        "\n{:44} {:>8} {:>9} {:>12} {:>9} {:>10}",
        "listing, 100 ms", "seconds", "requests", "requests/s", "of quota", "throttled"
    );
    println!(
        "{:44} {took:>8.2} {:>9} {rate:>12.2} {:>7.1} % {:>10}",
        format!("{LINEAGE} snapshots of 200 GiB, all rewritten"),
        requests.list,
        100.0 * rate / f64::from(QUOTA),
        requests.throttled,
    );
}

fn main() {
    serve_if_asked();
    let quick = std::env::args().any(|word| word == "quick");
    println!(
        "{:44} {:>8} {:>12} {:>9} {:>9} {:>14}",
        "", "seconds", "ms/snapshot", "sets MiB", "peak MiB", "versions"
    );
    let n = if quick { 100 } else { 1_000 };
    figures(&format!("{} snapshots of 1 TiB, 1 % churn", n / 4), n / 4, TIB);
    figures(&format!("{} snapshots of 1 TiB, 1 % churn", n / 2), n / 2, TIB);
    figures(&format!("{n} snapshots of 1 TiB, 1 % churn"), n, TIB);
    if !quick {
        figures("100 snapshots of 64 TiB, 1 % churn", 100, 64 * TIB);
        within_the_quota();
    }
}
