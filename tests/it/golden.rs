//! Fixed reports, and whole commands against an account that stands still, in every format that suits them.

mod cost;
#[cfg(feature = "ec2")]
mod cost_commands;
mod drills;
mod files;
mod listings;
mod verify;
mod warm;

use crate::cli::{golden, one_object};
use icecore::block::{BlockIndex, BlockRange, BlockSet, ByteSize, GiB};
use icecore::pipeline::Requests;
use icecore::render::{Format, Render};
use icecore::snapshot::{SnapshotId, SnapshotInfo, SnapshotState, StorageTier, UnixMillis};

const REQUESTS: Requests = Requests { list: 3, get: 40, put: 0, control: 1, throttled: 2, retried: 4 };

fn id(n: u32) -> SnapshotId {
    format!("snap-0{n:016x}").parse().unwrap()
}

fn gib(n: i64) -> GiB {
    GiB::try_from(n).unwrap()
}

fn set(ranges: &[(u32, u32)]) -> BlockSet {
    let mut set = BlockSet::new();
    ranges.iter().for_each(|(start, len)| set.insert_range(BlockRange::new(BlockIndex::new(*start), *len)));
    set
}

pub(crate) fn info(n: u32) -> SnapshotInfo {
    SnapshotInfo {
        id: id(n),
        volume_id: Some("vol-0123456789abcdef0".parse().unwrap()),
        owner_id: "123456789012".into(),
        state: SnapshotState::Completed,
        state_message: None,
        start_time: UnixMillis(1_700_000_000_123 + 86_400_000 * i64::from(n)),
        volume_size: gib(8),
        encrypted: false,
        kms_key_id: None,
        description: String::new(),
        tags: [("Name".to_owned(), format!("daily-{n}"))].into(),
        tier: StorageTier::Standard,
        full_size: Some(ByteSize::from_mib(1_536)),
        parent: None,
        lineage: None,
    }
}

/// Shows the report in every format there is; those that do not suit it must not have a golden file either.
#[track_caller]
pub(crate) fn check<R: Render>(name: &str, report: &R) {
    for format in Format::ALL {
        let file = format!("{name}.{format}");
        let Some(printer) = R::printer(format) else { continue };
        let mut out = Vec::new();
        printer(report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        if format == Format::Json {
            let value = one_object(&text);
            let schema = value["schema"].as_str().unwrap();
            assert!(format!("icecore/{name}").starts_with(schema.strip_suffix("/1").unwrap()), "{schema}");
        }
        if matches!(format, Format::Jsonl | Format::Cbt) {
            text.lines().for_each(|line| assert!(serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
        // CSV carries the bytes as they are: it is for programs.
        let shown = format != Format::Csv;
        assert!(!shown || text.chars().all(|c| c == '\n' || !c.is_control()), "{file} could move a cursor");
        golden(&file, &text);
    }
}
