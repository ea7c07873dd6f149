//! `drill`, `resume` and `cleanup`: what passed, what did not, and what was left.

use super::verify::{stopped, verified};
use super::{REQUESTS, check, id};
use icecore::block::{BlockIndex, Digest, GiB};
use icecore::control::Known;
use icecore::device::FileSystemKind;
use icecore::estate::{BinnedVolume, VolumeKind};
use icecore::fault::Kind;
use icecore::ops::verify::{Class, Exception, Mismatch, State};
use icecore::orchestrate::cleanup::{self, Done, Found, Item};
use icecore::orchestrate::drill::{Drill, Goal, Hooked, Missed, Mounted, Report};
use icecore::orchestrate::{Outcome, RunId, Taken, Undoing};
use icecore::snapshot::{UnixMillis, VolumeId};
use std::time::Duration;

const START: UnixMillis = UnixMillis(1_700_100_000_000);

fn run(n: u32) -> RunId {
    format!("run-{n:016x}").parse().unwrap()
}

fn volume(n: u32) -> VolumeId {
    format!("vol-0{n:016x}").parse().unwrap()
}

fn because(kind: Kind, what: &str) -> Exception {
    Exception { kind, what: what.to_owned() }
}

fn steps(names: &[&'static str]) -> Vec<Taken> {
    let step = |(name, seconds): (&&'static str, u64)| Taken {
        name,
        outcome: Outcome::Done,
        undoing: match *name {
            "create" | "attach" | "mount" | "tag" => Undoing::Undone,
            _ => Undoing::Nothing,
        },
        took: Duration::from_millis(seconds * 1_500),
    };
    names.iter().zip(1..).map(step).collect()
}

fn passed(n: u32) -> Drill {
    Drill {
        snapshot_id: id(n),
        taken: Some(UnixMillis(START.0 - 7_200_000 * i64::from(n))),
        size: Some(GiB::try_from(8).unwrap()),
        volume_id: Some(volume(n)),
        is_restored: false,
        kind: Some(VolumeKind::Gp3),
        is_encrypted: Some(false),
        device: Some(format!("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0{n:016x}").into()),
        steps: steps(&["create", "attach", "device", "protect", "verify"]),
        warmed: None,
        verified: Some(verified()),
        mounted: Vec::new(),
        verdict: Some(State::Pass),
        restore: Some(Duration::from_millis(9_000)),
        age: Some(Duration::from_secs(7_200 * u64::from(n))),
        hooked: None,
        missed: Vec::new(),
        unknown: Vec::new(),
        exceptions: Vec::new(),
        notes: Vec::new(),
    }
}

fn report(drills: Vec<Drill>) -> Report {
    Report {
        run: run(0xa1),
        place: "us-east-1 as default".into(),
        instance: "i-0123456789abcdef0".parse().unwrap(),
        rto: Some(Duration::from_secs(900)),
        rpo: Some(Duration::from_secs(86_400)),
        started: START,
        ended: UnixMillis(START.0 + 95_250),
        elapsed: Duration::from_millis(95_250),
        drills,
        binned: Known::Known(Vec::new()),
        requests: REQUESTS,
    }
}

#[test]
fn drills_that_passed() {
    let mut hooked = passed(2);
    hooked.steps = steps(&["create", "attach", "device", "protect", "warm", "verify", "mount", "hook"]);
    hooked.hooked = Some(Hooked {
        code: Some(0),
        said: "orders: 4711 rows".into(),
        is_cut: false,
        got_credentials: true,
    });
    hooked.mounted = vec![Mounted {
        at: "/var/lib/icecore/mounts/run-00000000000000a1/1/p1".into(),
        kind: FileSystemKind::Xfs,
        partition: Some(1),
        uuid: "01234567-89ab-cdef-0123-456789abcdef".into(),
        is_clean: None,
    }];
    check("drill", &report(vec![passed(1), hooked]));
}

/// One of each kind: damage, goals missed, denied, left over, not there.
#[test]
fn drills_that_did_not_pass() {
    let wrong = |index: u32| Mismatch {
        index: BlockIndex::new(index),
        expected: Some(Digest::of(b"then")),
        actual: Some(Digest::of(b"now")),
        class: Class::Content,
        is_persistent: Some(true),
        is_explained: false,
    };
    let mut damaged = passed(1);
    let mismatches = [5, 6, 900].map(wrong).into_iter().collect();
    damaged.verified = Some(icecore::ops::verify::Report { mismatches, upper_bound_95: None, ..verified() });
    damaged.verdict = Some(State::Fail);
    damaged.notes = vec!["The hook was not run: the verification is no pass.".into()];

    let mut late = passed(2);
    late.restore = Some(Duration::from_secs(1_800));
    let hook = Hooked {
        code: Some(3),
        said: "orders: 0 rows\nexpected some".into(),
        is_cut: false,
        got_credentials: false,
    };
    late.hooked = Some(hook.clone());
    late.missed = vec![
        Missed::Rto { took: Duration::from_secs(1_800), allowed: Duration::from_secs(900) },
        Missed::Rpo { age: Duration::from_secs(180_000), allowed: Duration::from_secs(86_400) },
        Missed::Hook(hook),
    ];

    let mut denied = passed(3);
    let no = because(
        Kind::Denied,
        "vol-00000000000000003: not allowed: ec2:AttachVolume; ask for that permission",
    );
    denied.steps = steps(&["create", "attach", "device", "protect", "verify"]);
    denied.steps[1].outcome = Outcome::Failed(no.clone());
    denied.steps[2..].iter_mut().for_each(|step| step.outcome = Outcome::NotReached);
    (denied.verified, denied.verdict, denied.restore, denied.device) = (None, None, None, None);
    denied.exceptions = vec![no];

    let mut left = passed(4);
    let busy = because(
        Kind::Local,
        "/var/lib/icecore/mounts/run-00000000000000a1/3: cannot unmount: target is busy; end what uses it",
    );
    let pinned = because(Kind::Local, "not before mount is undone");
    left.steps = steps(&["create", "attach", "device", "protect", "verify", "mount", "hook"]);
    for (step, why) in [(0, &pinned), (1, &pinned), (5, &busy)] {
        left.steps[step].undoing = Undoing::Left(why.clone());
        left.exceptions.push(why.clone());
    }

    let mut missing = passed(5);
    missing.steps.clear();
    (missing.volume_id, missing.taken, missing.size, missing.age) = (None, None, None, None);
    (missing.verified, missing.verdict, missing.restore, missing.device) = (None, None, None, None);
    (missing.kind, missing.is_encrypted) = (None, None);
    missing.exceptions = vec![because(
        Kind::NotFound,
        "snap-00000000000000005: there is no such snapshot of our own; check the id with icecore list, and the Region",
    )];

    let mut report = report(vec![damaged, late, denied, left, missing]);
    let binned = |n| BinnedVolume {
        id: volume(n),
        kind: VolumeKind::Gp3,
        size: GiB::try_from(8).unwrap(),
        zone: "us-east-1a".into(),
        snapshot: Some(id(n)),
        entered: Some(START),
        leaves: Some(UnixMillis(START.0 + 86_400_000 * 7)),
    };
    report.binned = Known::Known(vec![binned(1), binned(2)]);
    check("drill-fail", &report);
}

/// An earlier process verified it and died: what it found is in its own evidence, if anywhere.
#[test]
fn a_drill_that_was_resumed() {
    let mut resumed = passed(1);
    resumed.steps[4].took = Duration::ZERO;
    (resumed.verified, resumed.restore) = (None, None);
    resumed.unknown = vec![Goal::Rto];
    let mut report = report(vec![resumed]);
    report.binned = Known::Unknown("not allowed: ec2:ListVolumesInRecycleBin".into());
    check("drill-resumed", &report);
}

/// A volume that AWS Backup restored, stopped by its deadline.
#[test]
fn a_restored_volume_that_was_not_verified_in_time() {
    let mut restored = passed(1);
    restored.is_restored = true;
    restored.kind = None;
    restored.steps = steps(&["tag", "attach", "device", "protect", "verify"]);
    restored.restore = None;
    restored.verified = Some(stopped());
    restored.verdict = Some(State::Incomplete);
    check("drill-restored", &report(vec![restored]));
}

fn item(n: u32, found: Found, done: Done) -> Item {
    Item {
        volume_id: volume(n),
        run: run(0xa0 + n),
        owner: "nightly@backup".into(),
        snapshot_id: Some(id(n)),
        made: Some(UnixMillis(START.0 - 3_600_000 * i64::from(n))),
        found,
        done,
    }
}

fn cleaned(items: Vec<Item>) -> cleanup::Report {
    cleanup::Report {
        place: "us-east-1 as default".into(),
        dry_run: false,
        items,
        at_work: vec![run(0xf)],
        ended: vec![run(0xa1)],
        exceptions: Vec::new(),
        requests: REQUESTS,
        elapsed: Duration::from_millis(2_250),
    }
}

#[test]
fn a_cleanup_of_what_dead_runs_left() {
    let spared = Done::Spared(Some(UnixMillis(START.0 + 3_600_000)));
    let items = vec![
        item(1, Found::Journal, Done::Deleted),
        item(2, Found::Tags, Done::Detached),
        item(3, Found::Tags, spared),
        Item {
            owner: String::new(),
            snapshot_id: None,
            made: None,
            ..item(4, Found::Tags, Done::Spared(None))
        },
    ];
    check("cleanup", &cleaned(items.clone()));
    check("cleanup-plan", &cleanup::Report { dry_run: true, ended: Vec::new(), ..cleaned(items) });
    check(
        "cleanup-nothing",
        &cleanup::Report { at_work: Vec::new(), ended: Vec::new(), ..cleaned(Vec::new()) },
    );
}

#[test]
fn a_cleanup_that_could_not_do_all() {
    let why = because(
        Kind::Denied,
        "vol-00000000000000001: not allowed: ec2:DeleteVolume; ask for that permission",
    );
    let busy = because(Kind::Local, "/state/mounts/run-00000000000000a2/0: cannot unmount: target is busy");
    let mut report = cleaned(vec![
        item(1, Found::Journal, Done::Left(why)),
        item(2, Found::Journal, Done::Left(busy.clone())),
        item(3, Found::Tags, Done::Deleted),
    ]);
    report.exceptions = vec![busy];
    check("cleanup-left", &report);
}
