//! Everything an account may hold, written and read.

use super::*;
use crate::control::conformance::held;

/// Two Regions, one with some of everything.
pub(crate) fn full() -> Regions {
    let ids: Vec<SnapshotId> = ["snap-01", "snap-02", "snap-03"].map(|id| id.parse().unwrap()).into();
    let asked = NewVolume {
        snapshot: Some(ids[0].clone()),
        zone: "us-east-1a".into(),
        kind: VolumeKind::Other("gp9".into()),
        size: Some(GiB::try_from(3).unwrap()),
        iops: Some(1),
        throughput: Some(2),
        initialization_rate: Some(3),
        encrypted: Some(true),
        kms_key_id: Some("key".into()),
        client_token: "t\n".into(),
        tags: Tags::from([("k".into(), "v".into())]),
    };
    let id: VolumeId = "vol-0abc".parse().unwrap();
    let volume = Volume {
        id: id.clone(),
        state: VolumeState::InUse,
        size: GiB::try_from(3).unwrap(),
        zone: asked.zone.clone(),
        kind: asked.kind.clone(),
        iops: asked.iops,
        throughput: None,
        snapshot: asked.snapshot.clone(),
        encrypted: true,
        kms_key_id: asked.kms_key_id.clone(),
        created: Some(UnixMillis(5)),
        attachments: vec![Attachment {
            instance: Some("i-0abc".parse().unwrap()),
            device: "/dev/sdf".into(),
            state: AttachmentState::Attached,
        }],
        fast_restored: Some(false),
        tags: asked.tags.clone(),
    };
    let life = Life {
        asked: Some(asked),
        made: Some(UnixMillis(1)),
        attached: Some(UnixMillis(2)),
        detached: None,
        deleted: Some(UnixMillis(-4)),
        blocks: 7,
        fate: Some(Fate::Sticks),
    };
    let held = Held { volumes: vec![volume], ..held(&ids) };
    let full = Holdings {
        held,
        lives: BTreeMap::from([(id, life)]),
        snapshots: ids.into_iter().collect(),
        kept: Vec::new(),
    };
    Regions::from([("us-east-1".into(), full), ("eu-west-1".into(), Holdings::default())])
}

#[test]
fn everything_reads_back() {
    assert_eq!(decode(&encode(&full())), Ok(full()));
    assert_eq!(decode(&encode(&Regions::new())), Ok(Regions::new()));
}

#[test]
fn every_cut_and_every_flipped_byte_is_noticed() {
    let whole = encode(&full());
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        assert!(decode(&bad).is_err(), "byte {at}");
        assert!(decode(&whole[..at]).is_err(), "length {at}");
    }
}

#[test]
fn a_field_that_is_not_known_is_refused() {
    let text = encode(&full());
    let body = String::from_utf8(text).unwrap().replace("\"blocks\"", "\"size\": 1, \"blocks\"");
    let body = &body[..body.rfind("crc32").unwrap()];
    let summed = format!("{body}crc32 {:08x}\n", crc32fast::hash(body.as_bytes()));
    assert!(decode(summed.as_bytes()).unwrap_err().contains("size"));
}
