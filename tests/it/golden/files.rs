//! What goes to files and comes from them: `export`, `import`, `manifest`, `store check`.

use super::{REQUESTS, check, gib, id, set};
use icecore::block::{BlockIndex, ByteSize, Digest, Geometry};
use icecore::manifest::Roots;
use icecore::ops::{export, import, manifest, store_check};
use icecore::store::{CheckReport, Damage, Hurt, Part};
use std::time::Duration;

fn exported() -> export::Report {
    export::Report {
        snapshot_id: id(1),
        dest: Some("/srv/images/root.img".into()),
        volume_size: gib(8),
        blocks_written: 3_072,
        bytes_written: ByteSize::from_mib(1_536),
        holes: 13_312,
        blocks_resumed: 0,
        synced: true,
        base: None,
        requests: REQUESTS,
        elapsed: Duration::from_millis(75_250),
    }
}

#[test]
fn export_to_a_file() {
    check("export", &exported());
}

#[test]
fn export_resumed_and_not_durable() {
    check("export-resumed", &export::Report { blocks_resumed: 1_000, synced: false, ..exported() });
}

#[test]
fn export_to_nowhere() {
    check("export-null", &export::Report { dest: None, synced: false, ..exported() });
}

#[test]
fn export_of_what_changed() {
    let base = Some(export::Base { snapshot_id: id(2), known: export::Known::Proved, blocks_compared: 30 });
    let bytes_written = ByteSize::from_bytes(17 * 524_288);
    check(
        "export-since",
        &export::Report { blocks_written: 17, bytes_written, holes: 3, base, ..exported() },
    );
}

fn imported() -> import::Report {
    import::Report {
        snapshot_id: id(1),
        image: "root.img".into(),
        volume_size: gib(1),
        blocks_written: 2_048,
        zero_blocks_written: 1_000,
        blocks_total: 2_048,
        blocks_inherited: 0,
        blocks_omitted: 0,
        blocks_resumed: 0,
        is_resumed: false,
        bytes_written: ByteSize::from_mib(1_024),
        completed: true,
        requests: REQUESTS,
        elapsed: Duration::from_millis(3_250),
    }
}

#[test]
fn import_of_a_whole_image() {
    check("import", &imported());
}

#[test]
fn import_upon_a_parent_without_waiting() {
    let report = import::Report {
        blocks_written: 40,
        zero_blocks_written: 0,
        blocks_inherited: 2_000,
        blocks_omitted: 8,
        blocks_resumed: 12,
        is_resumed: false,
        bytes_written: ByteSize::from_mib(20),
        completed: false,
        ..imported()
    };
    check("import-pending", &report);
}

fn checked(damages: Vec<Damage>, unnamed: Option<Vec<std::path::PathBuf>>) -> store_check::Report {
    let found = CheckReport { snapshots: 3, pending: 1, layers: 2, blocks: 1_066, damages, unnamed };
    store_check::Report { dir: "/srv/store".into(), found }
}

#[test]
fn store_check_of_a_whole_store() {
    check("store-check", &checked(Vec::new(), Some(vec!["/srv/store/x".into()])));
}

#[test]
fn store_check_of_a_damaged_store() {
    let hurt = |n, blocks| Hurt { snapshot: id(n), blocks };
    let scattered = (0..20).map(|n| BlockIndex::new(2 * n)).collect();
    let damages = vec![
        Damage {
            file: "/srv/store/blocks/00/ff".into(),
            part: Part::Block(icecore::block::Digest::of(b"x")),
            what: "its bytes are not those of its name".into(),
            hurts: vec![hurt(1, Some(set(&[(7, 1)]))), hurt(2, Some(scattered))],
        },
        Damage {
            file: "/srv/store/layers/1".into(),
            part: Part::Layer,
            what: "cut off".into(),
            hurts: vec![hurt(3, None)],
        },
        Damage { file: "/srv/store/clock".into(), part: Part::Clock, what: "gone".into(), hurts: Vec::new() },
    ];
    check("store-check-damaged", &checked(damages, None));
}

fn made() -> manifest::Report {
    manifest::Report {
        name: id(1).to_string(),
        snapshot_id: Some(id(1)),
        is_encrypted: Some(false),
        geometry: Geometry::ebs(gib(8)),
        size: ByteSize::from_mib(8_192),
        output: "/srv/manifests/monday".into(),
        blocks: 3_072,
        blocks_read: 3_072,
        blocks_resumed: 0,
        blocks_from_base: 0,
        base: None,
        roots: Roots { map: Digest::of(b"map"), content: Digest::of(b"content") },
        requests: Some(REQUESTS),
        elapsed: Duration::from_millis(75_250),
    }
}

#[test]
fn manifest_of_a_first_read() {
    check("manifest", &made());
}

#[test]
fn manifest_upon_a_base() {
    let base = Some("/srv/manifests/sunday".into());
    let report =
        manifest::Report { base, blocks_read: 60, blocks_from_base: 3_000, blocks_resumed: 12, ..made() };
    check("manifest-base", &report);
}

#[test]
fn manifest_of_an_image() {
    let name = "/srv/images/root.img".to_owned();
    check(
        "manifest-image",
        &manifest::Report { name, snapshot_id: None, is_encrypted: None, requests: None, ..made() },
    );
}
