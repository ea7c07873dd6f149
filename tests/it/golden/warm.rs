//! `warm`: whole, cut off, not needed, with a verification, and a job of several.

use super::verify::verified;
use super::{REQUESTS, check, gib, id, set};
use icecore::block::{BlockSet, ByteSize, Geometry};
use icecore::fault::Kind;
use icecore::ops::verify::Exception;
use icecore::ops::warm::{self, Latencies, Ordered, Proof, Skip};
use icecore::snapshot::UnixMillis;
use std::time::Duration;

fn latencies(millis: &[u64]) -> Latencies {
    let mut latencies = Latencies::default();
    millis.iter().for_each(|millis| latencies.record(Duration::from_millis(*millis)));
    latencies
}

fn warmed() -> warm::Report {
    warm::Report {
        place: Some("us-east-1 as default".into()),
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_075_250),
        elapsed: Duration::from_millis(75_250),
        reading: Duration::from_millis(72_000),
        device: warm::Device {
            path: "/dev/nvme1n1".into(),
            is_device: true,
            size: ByteSize::from_mib(8_192),
            volume_id: Some("vol-0123456789abcdef0".parse().unwrap()),
        },
        source: id(3).to_string(),
        snapshot_id: Some(id(3)),
        geometry: Some(Geometry::ebs(gib(8))),
        order: Ordered::Recency(vec![id(2), id(1)]),
        allocated: 3_072,
        is_counted: None,
        allows_empty: false,
        planned: 3_072,
        read: 3_072,
        resumed: 0,
        is_resumed: false,
        bytes_read: ByteSize::from_bytes(3_072 * 524_288 + 300 * 4_096),
        bytes_of_proof: ByteSize::from_bytes(300 * 4_096),
        cold: BlockSet::new(),
        unreadable: BlockSet::new(),
        latencies: latencies(&[18, 20, 20, 21, 40, 90]),
        proof: Some(Proof {
            population: 3_072,
            sample: 300,
            seed: 42,
            latencies: latencies(&[1; 300]),
            threshold: Duration::from_millis(5),
            slow: 0,
            upper_bound_95: 0.009_4,
            was_never_slow: false,
        }),
        is_probe: false,
        predicted: None,
        stopped_by: None,
        skipped: None,
        initialization: vec![told(37), told(41)],
        exceeded: Some(7),
        warnings: Vec::new(),
        exceptions: Vec::new(),
        verified: None,
        requests: REQUESTS,
    }
}

fn told(progress: u8) -> icecore::estate::Initialization {
    icecore::estate::Initialization {
        volume: "vol-0123456789abcdef0".parse().unwrap(),
        is_complete: Some(false),
        progress: Some(progress),
        seconds_left: None,
        health: "ok".into(),
    }
}

#[test]
fn warm_of_a_whole_volume() {
    check("warm", &warmed());
}

fn cut_off() -> warm::Report {
    let mut proof = warmed().proof.unwrap();
    let sample: Vec<_> = (0..300).map(|n| if n % 3 == 0 { 20 } else { 1 }).collect();
    (proof.latencies, proof.slow, proof.upper_bound_95) = (latencies(&sample), 100, 0.381);
    warm::Report {
        read: 2_048,
        resumed: 1_000,
        cold: set(&[(5, 2), (1_024, 512), (4_000, 510)]),
        unreadable: set(&[(5, 2)]),
        proof: Some(proof),
        predicted: Some(0.68),
        stopped_by: Some(warm::Bound::Deadline),
        warnings: vec!["nvme_core.io_timeout is 30 s, and that may be too little".into()],
        exceptions: vec![Exception {
            kind: Kind::Local,
            what: "/dev/nvme1n1: cannot read: input/output error".into(),
        }],
        exceeded: None,
        ..warmed()
    }
}

#[test]
fn warm_that_was_cut_off() {
    check("warm-partial", &cut_off());
}

#[test]
fn warm_of_a_volume_that_needs_none() {
    let report = warm::Report {
        skipped: Some(Skip::FastRestored),
        order: Ordered::Index,
        read: 0,
        planned: 0,
        bytes_read: ByteSize::ZERO,
        bytes_of_proof: ByteSize::ZERO,
        latencies: Latencies::default(),
        proof: None,
        exceeded: None,
        initialization: Vec::new(),
        ..warmed()
    };
    check("warm-skipped", &report);
}

#[test]
fn warm_and_verify_in_one_pass() {
    check("warm-verified", &warm::Report { verified: Some(verified()), ..warmed() });
}

#[test]
fn warm_of_several_volumes() {
    let item = |name: &str, outcome| warm::Item { name: name.to_owned(), outcome };
    let failed =
        Exception { kind: Kind::Unsuitable, what: "/dev/sdx: there is no such file; check the path".into() };
    let items = vec![
        item("/dev/nvme1n1", warm::Outcome::Done(warmed())),
        item("/dev/sdx", warm::Outcome::Failed(failed)),
        item("/dev/nvme2n1", warm::Outcome::Done(cut_off())),
    ];
    let job = warm::Job {
        items,
        started: UnixMillis(1_700_000_000_000),
        ended: UnixMillis(1_700_000_075_250),
        elapsed: Duration::from_millis(75_250),
    };
    check("warm-job", &job);
}
