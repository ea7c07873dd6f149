//! Claims that a quota is used up and not exceeded: all of 4 GiB, against an endpoint that keeps AWS's quotas and
//! takes 60 ms an answer, at `--quota-share 1` within 1.05 times what the quota alone takes and with under 2 % of the
//! requests throttled.
//!
//! ```text
//! cargo bench --no-default-features --bench quota
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and fails where it cannot measure"
)]

mod measure;
#[path = "measure/server.rs"]
mod server;

use measure::seconds;
use server::{Server, Volume, serve_if_asked};

/// Blocks of 4 GiB, and the requests a second that one snapshot has.
const BLOCKS: f64 = 8_192.0;
const QUOTA: f64 = 1_000.0;

fn main() {
    serve_if_asked();
    let state = tempfile::tempdir().unwrap();
    let ideal = BLOCKS / QUOTA;
    println!("{:28} {:>8} {:>9} {:>10}", "export, 4 GiB, 60 ms", "seconds", "of ideal", "throttled");
    for share in ["1", "0.5"] {
        // A new server, for what one has saved up while it was idle belongs to nobody.
        let server = Server::with_quotas(60);
        let mut command = server.icecore(state.path());
        command.args(["export", &Volume::Image.id(0), "--to-null", "--format", "json"]);
        command.args(["--quota-share", share]);
        let mut output = None;
        let took = seconds(|| output = Some(command.output().unwrap()));
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let requests = &report["requests"];
        let throttled = requests["throttled"].as_f64().unwrap() / requests["get"].as_f64().unwrap();
        let ideal = ideal / share.parse::<f64>().unwrap();
        println!(
            "{:28} {took:>8.2} {:>9.3} {:>8.2} %",
            format!("--quota-share {share}"),
            took / ideal,
            100.0 * throttled
        );
    }
}
