//! The first 256 bytes of a manifest.

use crate::block::{BlockSize, ByteSize, Digest, Geometry, GiB};
use crate::manifest::{About, Roots};
use crate::snapshot::SnapshotId;

pub(super) const LEN: usize = 256;
const MAGIC: &[u8; 8] = b"icemanif";
/// The format that is written.
const FORMAT: u32 = 2;
/// The format before: without the encryption of the snapshot.
const FIRST_FORMAT: u32 = 1;
/// Where the header's own digest stands.
const OWN: usize = 224;

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The version of the file's format.
    pub(super) format: u32,
    pub(super) about: About,
    /// Blocks listed.
    pub(super) blocks: u64,
    pub(super) roots: Roots,
    /// SHA-256 of all that follows the header.
    pub(super) body: Digest,
}

/// Whether bytes begin as those of a manifest do.
pub(super) fn is_ours(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

impl Header {
    /// A header of the format that is written.
    pub(super) fn new(about: About, blocks: u64, roots: Roots, body: Digest) -> Self {
        Self { format: FORMAT, about, blocks, roots, body }
    }

    pub(super) fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, MAGIC);
        put(8, &self.format.to_le_bytes());
        put(12, &self.about.geometry.block_size.bytes().to_le_bytes());
        put(16, &self.about.geometry.volume_size.get().to_le_bytes());
        if self.format >= FORMAT {
            put(20, &encryption(self.about.is_encrypted).to_le_bytes());
        }
        put(24, &self.about.size.bytes().to_le_bytes());
        put(32, &self.blocks.to_le_bytes());
        // An id has at most 64 characters.
        put(40, self.about.snapshot_id.as_ref().map_or("", SnapshotId::as_str).as_bytes());
        put(104, self.roots.map.as_bytes());
        put(136, self.roots.content.as_bytes());
        put(168, self.body.as_bytes());
        let own = Digest::of(&bytes[..OWN]);
        bytes[OWN..].copy_from_slice(own.as_bytes());
        bytes
    }

    /// The header, or in words why there is none.
    pub(super) fn decode(bytes: &[u8; LEN]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("it is no manifest".to_owned());
        }
        let format = u32::from_le_bytes(field(bytes, 8));
        if !(FIRST_FORMAT..=FORMAT).contains(&format) {
            return Err(format!(
                "the manifest has format {format}; this build reads formats {FIRST_FORMAT} to {FORMAT}"
            ));
        }
        let damaged = || "its header is damaged".to_owned();
        let header = Self::fields(bytes).ok_or_else(damaged)?;
        // Encoding it again checks its digest, and that what should be zeros is.
        if header.encode() == *bytes { Ok(header) } else { Err(damaged()) }
    }

    fn fields(bytes: &[u8; LEN]) -> Option<Self> {
        let id: [u8; 64] = field(bytes, 40);
        let id = std::str::from_utf8(&id).ok()?.trim_end_matches('\0');
        let gib = GiB::try_from(i64::from(u32::from_le_bytes(field(bytes, 16)))).ok()?;
        BlockSize::try_from(i64::from(u32::from_le_bytes(field(bytes, 12)))).ok()?;
        let digest = |at| Digest::from_bytes(field(bytes, at));
        let geometry = Geometry::ebs(gib);
        let blocks = u64::from_le_bytes(field(bytes, 32));
        (blocks <= u64::from(geometry.n_blocks())).then_some(())?;
        let format = u32::from_le_bytes(field(bytes, 8));
        let is_encrypted = match u32::from_le_bytes(field(bytes, 20)) {
            0 => None,
            1 => Some(false),
            2 => Some(true),
            _ => return None,
        };
        Some(Self {
            format,
            about: About {
                snapshot_id: if id.is_empty() { None } else { Some(id.parse().ok()?) },
                geometry,
                size: ByteSize::from_bytes(u64::from_le_bytes(field(bytes, 24))),
                is_encrypted,
            },
            blocks,
            roots: Roots { map: digest(104), content: digest(136) },
            body: digest(168),
        })
    }

    /// Bytes of the map.
    pub(super) fn map_len(&self) -> usize {
        self.about.geometry.n_blocks() as usize / 8
    }

    /// Where the digests begin.
    pub(super) fn digests_at(&self) -> u64 {
        (LEN + self.map_len()) as u64
    }

    /// Bytes of the whole file.
    pub(super) fn file_len(&self) -> u64 {
        self.digests_at() + self.blocks * Digest::LEN as u64
    }
}

/// The encryption of a snapshot as it stands in the header.
const fn encryption(is_encrypted: Option<bool>) -> u32 {
    match is_encrypted {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}

/// A field of fixed place and length, both within the header.
fn field<const N: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}
