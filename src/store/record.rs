//! Snapshot records: one small file a snapshot, JSON with its checksum on the last line.
//!
//! A record is replaced as a whole. A field that this build does not know makes it unreadable: rewriting it would
//! lose the field, so a new field comes with a new format of the store.

use crate::block::{BlockSize, GiB};
use crate::shelf::Shelved;
use crate::snapshot::{NewSnapshot, SnapshotInfo, SnapshotState, StorageTier, Tags, UnixMillis};
use serde::{Deserialize, Serialize};

/// What is kept of a snapshot beside its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) shelved: Shelved,
    /// Versions of its layers, oldest first. Until it is completed, those it inherits.
    pub(crate) layers: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: String,
    state: String,
    state_message: Option<String>,
    start_time_ms: i64,
    owner_id: String,
    volume_size_gib: u32,
    encrypted: bool,
    kms_key_id: Option<String>,
    description: String,
    tags: Tags,
    full_blocks: Option<u64>,
    parent: Option<String>,
    lineage: String,
    layers: Vec<String>,
    asked: AskedText,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedText {
    volume_size_gib: u32,
    parent: Option<String>,
    description: Option<String>,
    tags: Tags,
    client_token: Option<String>,
    encrypted: Option<bool>,
    kms_key_id: Option<String>,
    timeout_minutes: Option<u32>,
}

impl Record {
    /// The version of the layer that this snapshot writes. Start times never repeat in a store, so they name it.
    pub(crate) fn version(&self) -> u64 {
        self.shelved.info.start_time.0.cast_unsigned()
    }

    /// The record's file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (info, asked) = (&self.shelved.info, &self.shelved.asked);
        let text = Text {
            id: info.id.to_string(),
            state: info.state.to_string(),
            state_message: info.state_message.clone(),
            start_time_ms: info.start_time.0,
            owner_id: info.owner_id.clone(),
            volume_size_gib: info.volume_size.get(),
            encrypted: info.encrypted,
            kms_key_id: info.kms_key_id.clone(),
            description: info.description.clone(),
            tags: info.tags.clone(),
            full_blocks: info.full_size.map(|size| size.bytes() / u64::from(BlockSize::EBS.bytes())),
            parent: info.parent.as_ref().map(ToString::to_string),
            lineage: info.lineage.map(|lineage| lineage.to_string()).unwrap_or_default(),
            layers: self.layers.iter().map(|version| format!("{version:016x}")).collect(),
            asked: AskedText {
                volume_size_gib: asked.volume_size.get(),
                parent: asked.parent.as_ref().map(ToString::to_string),
                description: asked.description.clone(),
                tags: asked.tags.clone(),
                client_token: asked.client_token.clone(),
                encrypted: asked.encrypted,
                kms_key_id: asked.kms_key_id.clone(),
                timeout_minutes: asked.timeout_minutes,
            },
        };
        summed(&text)
    }

    /// Reads a record's file; the error says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text: Text = serde_json::from_slice(checked(bytes)?).map_err(|error| error.to_string())?;
        text.into_record()
    }
}

/// A small file: JSON for people to read, a newline, and its checksum in a line of its own.
pub(crate) fn summed(text: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(text).unwrap_or_else(|_| unreachable!("text keys only"));
    bytes.push(b'\n');
    let sum = crc32fast::hash(&bytes);
    bytes.extend(format!("crc32 {sum:08x}\n").into_bytes());
    bytes
}

/// The JSON of such a file, if its checksum matches.
pub(crate) fn checked(bytes: &[u8]) -> Result<&[u8], String> {
    let cut = bytes.len().checked_sub("crc32 00000000\n".len()).ok_or("it is too short")?;
    let (body, sum) = bytes.split_at(cut);
    if format!("crc32 {:08x}\n", crc32fast::hash(body)).as_bytes() != sum {
        return Err("its checksum does not match".into());
    }
    Ok(body)
}

impl Text {
    fn into_record(self) -> Result<Record, String> {
        let asked = NewSnapshot {
            volume_size: size(self.asked.volume_size_gib)?,
            parent: self.asked.parent.map(parsed).transpose()?,
            description: self.asked.description,
            tags: self.asked.tags,
            client_token: self.asked.client_token,
            encrypted: self.asked.encrypted,
            kms_key_id: self.asked.kms_key_id,
            timeout_minutes: self.asked.timeout_minutes,
        };
        let info = SnapshotInfo {
            id: parsed(self.id)?,
            volume_id: None,
            owner_id: self.owner_id,
            state: parsed::<SnapshotState>(self.state)?,
            state_message: self.state_message,
            start_time: UnixMillis(self.start_time_ms),
            volume_size: size(self.volume_size_gib)?,
            encrypted: self.encrypted,
            kms_key_id: self.kms_key_id,
            description: self.description,
            tags: self.tags,
            tier: StorageTier::Standard,
            full_size: self.full_blocks.map(|blocks| BlockSize::EBS.of(blocks)),
            parent: self.parent.map(parsed).transpose()?,
            lineage: Some(parsed(self.lineage)?),
        };
        let version = |text: &String| u64::from_str_radix(text, 16).map_err(|error| error.to_string());
        let layers = self.layers.iter().map(version).collect::<Result<_, _>>()?;
        Ok(Record { shelved: Shelved { info, asked }, layers })
    }
}

fn size(gib: u32) -> Result<GiB, String> {
    GiB::try_from(i64::from(gib)).map_err(|error| error.to_string())
}

fn parsed<T: std::str::FromStr<Err: ToString>>(text: String) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::block::ByteSize;
    use crate::snapshot::Lineage;

    /// A record with every field filled.
    pub(crate) fn full() -> Record {
        let asked = NewSnapshot {
            volume_size: GiB::try_from(65_536).unwrap(),
            parent: Some("snap-0abc".parse().unwrap()),
            description: Some("Straße \"1\"\n".into()),
            tags: Tags::from([("k".into(), "v".into())]),
            client_token: Some("token".into()),
            encrypted: Some(true),
            kms_key_id: Some("key".into()),
            timeout_minutes: Some(60),
        };
        let info = SnapshotInfo {
            id: "snap-0def".parse().unwrap(),
            volume_id: None,
            owner_id: "123456789012".into(),
            state: SnapshotState::Error,
            state_message: Some("why".into()),
            start_time: UnixMillis(1_700_000_000_001),
            volume_size: asked.volume_size,
            encrypted: true,
            kms_key_id: Some("arn:key".into()),
            description: "Straße \"1\"\n".into(),
            tags: Tags::from([("k".into(), "w".into())]),
            tier: StorageTier::Standard,
            full_size: Some(ByteSize::from_bytes(5 << 19)),
            parent: asked.parent.clone(),
            lineage: Some(Lineage::new(u64::MAX - 4)),
        };
        Record { shelved: Shelved { info, asked }, layers: vec![0, u64::MAX, 7] }
    }

    #[test]
    fn every_field_reads_back() {
        assert_eq!(Record::decode(&full().encode()), Ok(full()));
        let mut bare = full();
        bare.shelved.info.full_size = None;
        bare.shelved.info.parent = None;
        bare.shelved.asked.tags.clear();
        bare.shelved.asked.timeout_minutes = None;
        assert_eq!(Record::decode(&bare.encode()), Ok(bare));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = full().encode();
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(Record::decode(&whole[..len]).is_err(), "length {len}");
        }
    }
}
