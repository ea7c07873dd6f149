//! What a device is for, by what is written at its edges: file systems, physical volumes of LVM, members of arrays.
//!
//! Told without any tool, since it takes a few bytes at fixed places, and so also of a file that stands for a device.
//! Sources: `lib/format_text/layout.h` of lvm2, `include/uapi/linux/raid/md_p.h` of Linux. What is not understood has no
//! signature.

use crate::device::ReadAt;
use crate::device::filesystem::FileSystem;
use crate::device::partition::{little, partitions};
use crate::fault::Fault;

/// What an area of a device is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// It holds a file system.
    FileSystem(FileSystem),
    /// It is a physical volume of LVM.
    PhysicalVolume {
        /// Its own UUID.
        uuid: String,
        /// Name and UUID of its volume group; `None` where it is in none.
        group: Option<(String, String)>,
    },
    /// It is a member of a software array (md).
    ArrayMember {
        /// The array's.
        uuid: [u8; 16],
    },
}

/// A signature, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The partition; `None` where it is of the whole device.
    pub partition: Option<u32>,
    /// What it says.
    pub signature: Signature,
}

impl Signature {
    /// What tells it from all others but its copies, for people and to be compared. A machine that uses something of the
    /// same name and attaches a copy of it has two, and may take one for the other.
    pub fn identities(&self) -> Vec<String> {
        match self {
            Self::FileSystem(found) => vec![format!("file system {}", hyphened(&found.uuid))],
            Self::PhysicalVolume { uuid, group } => {
                let group = group.iter().map(|(name, uuid)| format!("volume group {name} ({uuid})"));
                [format!("physical volume {uuid}")].into_iter().chain(group).collect()
            }
            Self::ArrayMember { uuid } => vec![format!("array {}", hyphened(uuid))],
        }
    }
}

/// A UUID as it is written: `01234567-89ab-cdef-0123-456789abcdef`.
pub fn hyphened(uuid: &[u8; 16]) -> String {
    let digits: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    grouped(&digits, &[8, 4, 4, 4, 12])
}

fn grouped(text: &str, lengths: &[usize]) -> String {
    let mut rest = text;
    let groups = lengths.iter().map_while(|length| {
        let (group, after) = rest.split_at_checked(*length)?;
        rest = after;
        Some(group)
    });
    groups.collect::<Vec<_>>().join("-")
}

/// The signatures of a device of this many bytes: of the whole, or else of its partitions.
pub fn signatures(read: &mut ReadAt<'_>, len: u64) -> Result<Vec<Signed>, Fault> {
    if let Some(signature) = signature(read, 0, len)? {
        return Ok(vec![Signed { partition: None, signature }]);
    }
    let mut found = Vec::new();
    for partition in partitions(read)? {
        let signature = signature(read, partition.offset, partition.len)?;
        found.extend(signature.map(|signature| Signed { partition: Some(partition.number), signature }));
    }
    Ok(found)
}

/// The first 8 KiB hold what is not at the end.
const HEAD: usize = 8192;

/// What an area is for. The member of an array may look like what the array holds, so that is looked for first.
fn signature(read: &mut ReadAt<'_>, offset: u64, len: u64) -> Result<Option<Signature>, Fault> {
    let head = read(offset, HEAD)?;
    if let Some(uuid) = array(read, &head, offset, len)? {
        return Ok(Some(Signature::ArrayMember { uuid }));
    }
    if let Some(volume) = physical_volume(read, &head, offset)? {
        return Ok(Some(volume));
    }
    Ok(FileSystem::at(offset, &head).map(Signature::FileSystem))
}

const MD_MAGIC: u64 = 0xa92b_4efc;

/// The UUID of the array that an area is a member of. Its superblock lies at the beginning, 4 KiB after it, or near the
/// end: in version 1.0 8 to 12 KiB, in version 0.90 64 to 128 KiB before it.
fn array(read: &mut ReadAt<'_>, head: &[u8], offset: u64, len: u64) -> Result<Option<[u8; 16]>, Fault> {
    let at_start = [0, 4096].into_iter().find_map(|at| md1(head.get(at..)?));
    if at_start.is_some() || len < 128 << 10 {
        return Ok(at_start);
    }
    // Sectors of 512 bytes, rounded down to 4 KiB.
    let near = ((len / 512 - 16) & !7) * 512;
    let far = (len & !0xffff) - 0x1_0000;
    let of_near = read(offset + near, 256)?;
    let of_far = read(offset + far, 256)?;
    Ok(md1(&of_near).or_else(|| md0(&of_far)))
}

fn md1(sb: &[u8]) -> Option<[u8; 16]> {
    (little::<4>(sb, 0)? == MD_MAGIC && little::<4>(sb, 4)? == 1).then_some(())?;
    sb.get(16..)?.first_chunk().copied()
}

fn md0(sb: &[u8]) -> Option<[u8; 16]> {
    (little::<4>(sb, 0)? == MD_MAGIC && little::<4>(sb, 4)? == 0).then_some(())?;
    let (first, rest) = (sb.get(20..24)?, sb.get(52..64)?);
    [first, rest].concat().try_into().ok()
}

/// Groups of a UUID of LVM.
const LVM_UUID: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];

/// The beginning of a volume group's description, which its name and UUID are in.
const DESCRIPTION: u64 = 4096;

fn physical_volume(read: &mut ReadAt<'_>, head: &[u8], offset: u64) -> Result<Option<Signature>, Fault> {
    // The label is in one of the first four sectors.
    let label = (0..4)
        .filter_map(|sector| head.get(sector * 512..))
        .find(|label| label.starts_with(b"LABELONE") && label.get(24..32) == Some(b"LVM2 001"));
    let header = label.and_then(|label| label.get(usize::try_from(little::<4>(label, 20)?).ok()?..));
    let Some((header, uuid)) = header.and_then(|header| Some((header, header.first_chunk::<32>()?))) else {
        return Ok(None);
    };
    let uuid = grouped(&String::from_utf8_lossy(uuid), &LVM_UUID);
    let group = match description(header) {
        Some(start) => group(read, offset.saturating_add(start))?,
        None => None,
    };
    Ok(Some(Signature::PhysicalVolume { uuid, group }))
}

/// Where the first metadata area begins: in the second of two lists of places, each of which ends with zeros.
fn description(header: &[u8]) -> Option<u64> {
    let mut places = header.get(40..)?.chunks_exact(16).map(|place| little::<8>(place, 0));
    places.by_ref().find(|place| *place == Some(0))?;
    places.next()?.filter(|start| *start > 0)
}

/// Name and UUID of the volume group that a metadata area describes: `data { id = "..."`.
fn group(read: &mut ReadAt<'_>, area: u64) -> Result<Option<(String, String)>, Fault> {
    let header = read(area, 512)?;
    if header.get(4..20) != Some(b" LVM2 x[5A%r0N*>") {
        return Ok(None);
    }
    let start = little::<8>(&header, 40).filter(|start| *start > 0);
    let Some(start) = start.and_then(|start| area.checked_add(start)) else { return Ok(None) };
    let text = read(start, usize::try_from(DESCRIPTION).unwrap_or_default())?;
    let text = String::from_utf8_lossy(&text);
    let told = text.split_once(" {").and_then(|(name, rest)| {
        let (_, id) = rest.split_once("id = \"")?;
        Some((name.to_owned(), id.split_once('"')?.0.to_owned()))
    });
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    Ok(told.filter(|(name, id)| is_word(name) && is_word(id)))
}

/// Signatures of what a fuzzer brings.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_signatures(bytes: &[u8]) {
    let mut read = |at: u64, len: usize| {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[at..at.saturating_add(len).min(bytes.len())].to_vec())
    };
    if let Ok(found) = signatures(&mut read, bytes.len() as u64) {
        found.iter().for_each(|one| assert!(!one.signature.identities().is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
        image[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn told(image: &[u8]) -> Vec<(Option<u32>, Vec<String>)> {
        let mut read = |at: u64, len: usize| {
            let at = usize::try_from(at).unwrap().min(image.len());
            Ok(image[at..(at + len).min(image.len())].to_vec())
        };
        let found = signatures(&mut read, image.len() as u64).unwrap();
        found.into_iter().map(|one| (one.partition, one.signature.identities())).collect()
    }

    fn ext_at(image: &mut [u8], start: usize) {
        put(image, start + 1024 + 0x38, &0xef53_u16.to_le_bytes());
        put(image, start + 1024 + 0x68, &[0x11; 16]);
    }

    const EXT: &str = "file system 11111111-1111-1111-1111-111111111111";

    #[test]
    fn a_physical_volume_tells_its_group() {
        let mut image = vec![0; 1 << 20];
        put(&mut image, 512, b"LABELONE");
        put(&mut image, 512 + 20, &32_u32.to_le_bytes());
        put(&mut image, 512 + 24, b"LVM2 001");
        let header = 512 + 32;
        put(&mut image, header, b"JtFhjPUmz51kzuaWUlTXW7qV1uRpg2ZK");
        let alone = vec![(None, vec!["physical volume JtFhjP-Umz5-1kzu-aWUl-TXW7-qV1u-Rpg2ZK".to_owned()])];
        assert_eq!(told(&image), alone);
        // One data area, the end of their list, one metadata area.
        put(&mut image, header + 40, &(1_u64 << 20).to_le_bytes());
        put(&mut image, header + 72, &4096_u64.to_le_bytes());
        put(&mut image, 4096 + 4, b" LVM2 x[5A%r0N*>");
        put(&mut image, 4096 + 40, &512_u64.to_le_bytes());
        put(&mut image, 4096 + 512, b"data {\nid = \"0Z1kqe-ABCD\"\nseqno = 1\n");
        let mut grouped = alone[0].1.clone();
        grouped.push("volume group data (0Z1kqe-ABCD)".to_owned());
        assert_eq!(told(&image), [(None, grouped)]);
    }

    #[test]
    fn a_member_of_an_array_is_no_file_system_whatever_version_it_is_of() {
        let len = 1 << 20;
        for (at, major, uuid) in [(0, 1, 16), (4096, 1, 16), (len - 8192, 1, 16), (len - 0x1_0000, 0, 20)] {
            let mut image = vec![0; len];
            if at > 1024 {
                ext_at(&mut image, 0);
            }
            put(&mut image, at, &0xa92b_4efc_u32.to_le_bytes());
            put(&mut image, at + 4, &[major]);
            put(&mut image, at + uuid, &[0x22; 4]);
            let [(None, names)] = &told(&image)[..] else { panic!("one") };
            assert!(names[0].starts_with("array 22222222-"), "{names:?}");
        }
    }

    #[test]
    fn partitions_have_their_own_signatures() {
        let mut image = vec![0; 4 << 20];
        put(&mut image, 510, &[0x55, 0xaa]);
        for (n, first) in [(0, 2048_u32), (2, 4096)] {
            put(&mut image, 446 + 16 * n + 4, &[0x83]);
            put(&mut image, 446 + 16 * n + 8, &first.to_le_bytes());
            put(&mut image, 446 + 16 * n + 12, &2048_u32.to_le_bytes());
        }
        ext_at(&mut image, 4096 * 512);
        assert_eq!(told(&image), [(Some(3), vec![EXT.to_owned()])]);
        put(&mut image, 2048 * 512, &0xa92b_4efc_u32.to_le_bytes());
        put(&mut image, 2048 * 512 + 4, &[1]);
        assert_eq!(told(&image).iter().map(|one| one.0).collect::<Vec<_>>(), [Some(1), Some(3)]);
        assert_eq!(told(&[0; 4096]), []);
    }

    #[test]
    fn rubbish_is_no_signature_and_no_panic() {
        let mut chance = fastrand::Rng::with_seed(3);
        for len in [0, 100, 512, 4096, 9000, 200_000] {
            let mut image: Vec<u8> = std::iter::repeat_with(|| chance.u8(..)).take(len).collect();
            fuzz_signatures(&image);
            for (at, magic) in [(512, &b"LABELONE"[..]), (536, b"LVM2 001"), (4100, b" LVM2 x[5A%r0N*>")] {
                if at + 16 <= len {
                    put(&mut image, at, magic);
                }
            }
            fuzz_signatures(&image);
        }
    }
}
