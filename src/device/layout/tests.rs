//! Layouts of disks that the tools of Linux made, and of the same disks altered.

use super::*;
use crate::device::{Image, unpack};
use crate::disk::Machine;
use crate::fault::{Fault, Kind, Place};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/disks/{name}.zst"))
}

/// A fixture in memory; those of 100 MiB and more are read as files.
fn disk(name: &str) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(fixture(name)).unwrap()).unwrap()
}

fn read(disk: &dyn Readable) -> Layout {
    let mut layout = Layout::read(disk);
    layout.look_for_zeros(disk);
    layout
}

/// The layout of a fixture, read as an image file is.
fn layout(name: &str) -> Layout {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let packed = std::fs::read(fixture(name)).unwrap();
    unpack(&packed[..], &path).unwrap();
    read(&Image::open(&path, &Machine::real(dir.path().to_owned())).unwrap())
}

/// Name, content and condition of each partition.
fn told(layout: &Layout) -> Vec<String> {
    let told =
        |one: &DiskPartition| format!("{} {}: {}", one.name, one.content.as_str(), one.condition.as_str());
    layout.partitions.iter().map(told).collect()
}

fn why(layout: &Layout, at: usize) -> &str {
    layout.partitions[at].why.as_deref().unwrap_or_default()
}

fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn a_disk_with_one_file_system_is_as_the_file_system_says() {
    for (name, expected, said) in [
        ("ext4", "ext4: clean", ""),
        ("ext4-used", "ext4: clean", ""),
        ("ext2", "ext4: clean", ""),
        ("ext4-errors", "ext4: dirty", "marked as having errors"),
        ("ext4-error-count", "ext4: dirty", "has recorded 1 errors"),
        ("ext4-orphan", "ext4: dirty", "orphan inodes"),
        ("ext4-unmounted", "ext4: dirty", "was not unmounted"),
        ("ext4-recover", "ext4: dirty", "journal has to be replayed"),
        ("ext4-mounted", "ext4: dirty", "journal has to be replayed"),
        ("xfs", "xfs: clean", ""),
        ("xfs-used", "xfs: clean", ""),
        ("xfs4", "xfs: clean", ""),
        ("xfs-mounted", "xfs: dirty", "log has to be replayed"),
        ("fat12", "vfat: clean", ""),
        ("fat16", "vfat: clean", ""),
        ("fat32", "vfat: clean", ""),
        ("exfat", "exfat: clean", ""),
        ("ntfs", "ntfs: clean", ""),
        ("ntfs-dirty", "ntfs: dirty", "marked as dirty"),
        ("btrfs", "btrfs: not_looked_at", "not examined"),
        ("pv", "LVM physical volume: not_looked_at", "not examined"),
        ("luks", "LUKS: not_looked_at", "encrypted"),
        ("swap", "swap: nothing_to_check", ""),
    ] {
        let layout = layout(name);
        assert_eq!(told(&layout), [format!("disk {expected}")], "{name}: {layout:?}");
        assert!(why(&layout, 0).contains(said), "{name}: {}", why(&layout, 0));
    }
}

#[test]
fn what_is_recognised_is_named_by_its_label_or_its_uuid() {
    for (name, expected) in [
        ("ext4", "whole disk (ext4, root)"),
        ("ext2", "whole disk (ext4, 11111111-2222-3333-4444-555555555555)"),
        ("xfs", "whole disk (xfs, data)"),
        ("fat32", "whole disk (vfat, EFI)"),
        ("ntfs", "whole disk (ntfs, data)"),
        ("btrfs", "whole disk (btrfs, data)"),
        ("pv", "whole disk (LVM physical volume, data)"),
        ("luks", "whole disk (LUKS, 11111111-2222-3333-4444-555555555555)"),
        ("swap", "whole disk (swap, swap)"),
    ] {
        assert_eq!(layout(name).partitions[0].to_string(), expected);
    }
    assert_eq!(layout("fat16").identities(), ["file system 1234-ABCD"]);
}

#[test]
fn a_logical_partition_that_is_not_clean_is_found() {
    let layout = layout("mbr-logical");
    let expected = [
        "1 ext4: clean",
        "2 logical partitions: nothing_to_check",
        "5 ext4: dirty",
        "6 swap: nothing_to_check",
        "7 zeros: nothing_to_check",
    ];
    assert_eq!(told(&layout), expected, "{layout:?}");
    let kinds: Vec<_> = layout.partitions.iter().map(|one| one.kind.unwrap().to_string()).collect();
    assert_eq!(kinds, ["Linux", "extended", "Linux", "Linux swap", "Linux"]);
}

#[test]
fn a_table_counts_and_not_the_older_superblock_under_it() {
    let layout = layout("mbr-over-ext4");
    assert_eq!(told(&layout), ["1 ext4: dirty"]);
    assert!(layout.remarks[0].contains("older signature (ext4)"), "{:?}", layout.remarks);
    assert_eq!(layout.identities().len(), 2, "programs that look for the UUID may find either");
    // Where no partition holds anything, the table may be the older one.
    let mut disk = disk("mbr-over-ext4");
    put(&mut disk, 2048 * 512, &[0; 4096]);
    let layout = read(&&*disk);
    assert_eq!(told(&layout)[0], "disk ext4: not_looked_at", "{layout:?}");
}

#[test]
fn a_clean_partition_does_not_speak_for_what_is_beside_it() {
    let layout = layout("mbr-beside");
    let expected = ["1 ext4: clean", "2 LVM physical volume: not_looked_at", "3 LUKS: not_looked_at"];
    assert_eq!(told(&layout), expected, "{layout:?}");
    let mut disk = disk("mbr-beside");
    put(&mut disk, 18_432 * 512, &[0x5a; 70_000]);
    put(&mut disk, 34_816 * 512, &vec![0; 70_000]);
    put(&mut disk, 34_816 * 512 + 65_600, b"_BHRfS_M");
    let expected = ["1 ext4: clean", "2 unknown: not_looked_at", "3 btrfs: not_looked_at"];
    assert_eq!(told(&read(&&*disk)), expected);
}

const OF_GPT: [&str; 5] = [
    "1 zeros: nothing_to_check",
    "2 vfat: clean",
    "3 swap: nothing_to_check",
    "4 zeros: nothing_to_check",
    "5 ext4: clean",
];

#[test]
fn a_gpt_is_read_with_sectors_of_both_sizes_and_from_its_backup() {
    for (name, remark) in
        [("gpt", ""), ("gpt-4096", ""), ("gpt-hybrid", ""), ("gpt-primary-damaged", "its backup was used")]
    {
        let layout = layout(name);
        assert_eq!(told(&layout), OF_GPT, "{name}: {layout:?}");
        assert!(layout.remarks.join(" ").contains(remark), "{name}: {:?}", layout.remarks);
        assert_eq!(layout.remarks.is_empty(), remark.is_empty(), "{name}: {:?}", layout.remarks);
        assert_eq!(layout.partitions[0].kind.unwrap().to_string(), "BIOS boot");
        assert_eq!(layout.partitions[0].to_string(), "partition 1 (zeros, bios)");
    }
    let layout = layout("gpt-both-damaged");
    assert_eq!(told(&layout), ["disk unknown: not_looked_at"]);
    assert!(why(&layout, 0).contains("and so is the table's backup"), "{layout:?}");
    // The disk was enlarged, and then its primary header damaged.
    let mut larger = disk("gpt-primary-damaged");
    larger.resize(32 << 20, 0);
    assert_eq!(told(&read(&&*larger)), OF_GPT);
    let mut alone = disk("gpt");
    let end = alone.len();
    put(&mut alone, end - 512, &[0; 512]);
    let layout = read(&&*alone);
    assert_eq!(told(&layout), OF_GPT);
    assert!(layout.remarks[0].contains("backup of the partition table"), "{:?}", layout.remarks);
}

#[test]
fn a_boot_loader_and_swap_space_are_what_they_are_by_type_and_content() {
    let at = |number: usize| [1, 2, 4, 5, 8][number - 1] << 20;
    let altered = |changes: &[(usize, &[u8])]| {
        let mut disk = disk("gpt");
        changes.iter().for_each(|(at, bytes)| put(&mut disk, *at, bytes));
        told(&read(&&*disk))
    };
    let grub = b"loading\0..\0Geom\0Read\0 Error\0";
    assert_eq!(altered(&[(at(1) + 0x180, grub)])[0], "1 GRUB: nothing_to_check");
    // Of any other type, or any other content, it may be anything.
    assert_eq!(altered(&[(at(5), &[0; 4096]), (at(5) + 0x180, grub)])[4], "5 GRUB: not_looked_at");
    assert_eq!(altered(&[(at(1), b"a database")])[0], "1 unknown: not_looked_at");
    assert_eq!(altered(&[(at(4) + (1 << 19), b"a database")])[3], "4 unknown: not_looked_at");
    assert_eq!(altered(&[(at(3) + 4086, b"no swap at")])[2], "3 unknown: not_looked_at");
    assert_eq!(altered(&[(at(3) + 4086, b"S1SUSPEND\0")])[2], "3 swap: dirty");
    let swap = &disk("swap")[..4096];
    assert_eq!(altered(&[(at(1), swap)])[0], "1 swap: not_looked_at");
    assert_eq!(altered(&[(at(3), &[0; 4096])])[2], "3 zeros: nothing_to_check");
    assert_eq!(altered(&[(at(3), &disk("ext4-errors")[..1 << 20])])[2], "3 ext4: dirty");
}

#[test]
fn fat_and_exfat_are_judged_by_their_own_dirty_bits() {
    // Where the second entry of the first table is: after one reserved sector, or 32.
    let (table_16, table_32) = (4 * 512, 32 * 512);
    for (name, at, bytes) in [
        ("fat12", 0x25, &[1][..]),
        ("fat16", 0x25, &[1]),
        ("fat16", 0x25, &[2]),
        ("fat16", table_16 + 2, &0x7fff_u16.to_le_bytes()),
        ("fat16", table_16 + 2, &0xbfff_u16.to_le_bytes()),
        ("fat32", 0x41, &[1]),
        ("fat32", table_32 + 4, &0x07ff_ffff_u32.to_le_bytes()),
        ("fat32", table_32 + 4, &0x0bff_ffff_u32.to_le_bytes()),
        ("exfat", 106, &[2]),
        ("exfat", 106, &[4]),
    ] {
        let mut disk = disk(name);
        assert_eq!(read(&&*disk).partitions[0].condition, Condition::Clean, "{name}");
        put(&mut disk, at, bytes);
        assert_eq!(read(&&*disk).partitions[0].condition, Condition::Dirty, "{name} at {at:#x}");
    }
}

#[test]
fn ntfs_is_clean_only_where_its_log_was_closed() {
    let clean = disk("ntfs");
    // The log is the only area of ones that is so long.
    let start =
        (0..clean.len()).step_by(4096).find(|at| clean[*at..*at + 65_536].iter().all(|byte| *byte == 0xff));
    let start = start.unwrap();
    for (client, flags, expected) in
        [(0xffff_u16, 0_u16, Condition::Clean), (0, 2, Condition::Clean), (0, 0, Condition::Dirty)]
    {
        let mut disk = clean.clone();
        put(&mut disk, start, b"RSTR");
        put(&mut disk, start + 0x18, &0x30_u16.to_le_bytes());
        put(&mut disk, start + 0x30 + 12, &client.to_le_bytes());
        put(&mut disk, start + 0x30 + 14, &flags.to_le_bytes());
        assert_eq!(read(&&*disk).partitions[0].condition, expected, "{client} {flags}");
    }
    let mut disk = clean.clone();
    put(&mut disk, start, b"RCRD");
    assert_eq!(read(&&*disk).partitions[0].condition, Condition::NotLookedAt);
}

#[test]
fn a_chain_of_logical_partitions_that_leads_astray_is_not_looked_at() {
    let clean = disk("mbr-logical");
    let extended = 20_480 * 512;
    let astray = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut disk = clean.clone();
        change(&mut disk);
        let layout = read(&&*disk);
        let container = layout.partition(PartitionName::Number(2)).unwrap();
        assert_eq!(container.condition, Condition::NotLookedAt, "{layout:?}");
        layout
    };
    // The second entry of the first table leads to the next one.
    let layout = astray(&|disk| put(disk, extended + 446 + 16 + 8, &0_u32.to_le_bytes()));
    assert!(why(&layout, 1).contains("leads astray"), "a loop: {layout:?}");
    let layout = astray(&|disk| put(disk, extended + 510, &[0, 0]));
    assert!(why(&layout, 1).contains("cut off"), "{layout:?}");
    astray(&|disk| put(disk, extended + 446 + 16 + 8, &u32::MAX.to_le_bytes()));
    // A logical partition outside of its extended one.
    let mut disk = clean.clone();
    put(&mut disk, extended + 446 + 12, &90_000_u32.to_le_bytes());
    let layout = read(&&*disk);
    assert_eq!(told(&layout)[2], "5 ext4: dirty");
    put(&mut disk, 22_528 * 512 + 1024 + 0x60, &[0x42]);
    assert_ne!(read(&&*disk).partitions[2].condition, Condition::Clean);
}

#[test]
fn what_is_not_within_the_disk_is_not_looked_at() {
    let mut disk = disk("mbr-beside");
    disk.truncate(40_000 * 512);
    let layout = read(&&*disk);
    assert_eq!(layout.partitions[2].condition, Condition::NotLookedAt);
    assert!(why(&layout, 2).contains("not within the disk"), "{layout:?}");
    // A file system that is longer than its partition.
    let mut disk = super::tests::disk("mbr-beside");
    put(&mut disk, 446 + 12, &8192_u32.to_le_bytes());
    let layout = read(&&*disk);
    assert_eq!(told(&layout)[0], "1 ext4: dirty");
    assert_eq!(why(&layout, 0), "it is a file system of 8 MiB on 4 MiB");
}

#[test]
fn an_empty_disk_and_one_with_neither_table_nor_file_system_are_not_looked_at() {
    for (disk, expected) in [
        (vec![0; 1 << 20], "disk zeros: not_looked_at"),
        ([&[0; 1 << 19][..], &[7; 1 << 19]].concat(), "disk unknown: not_looked_at"),
        (vec![7; 1 << 20], "disk unknown: not_looked_at"),
    ] {
        assert_eq!(told(&read(&&*disk)), [expected]);
    }
}

/// A disk that cannot be read at some places, and differs at others.
#[derive(Debug)]
struct Altered<'a> {
    disk: &'a [u8],
    bytes: BTreeMap<u64, u8>,
    bad: Option<std::ops::Range<u64>>,
}

impl Readable for Altered<'_> {
    fn size(&self) -> u64 {
        self.disk.len() as u64
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Vec<u8>, Fault> {
        let end = offset + len as u64;
        if self.bad.as_ref().is_some_and(|bad| bad.start < end && offset < bad.end) {
            return Err(Fault::new(Kind::Local, Place::Program, "a bad sector"));
        }
        let mut bytes = Readable::bytes(&self.disk, offset, len)?;
        for (at, byte) in self.bytes.range(offset..offset + bytes.len() as u64) {
            bytes[usize::try_from(at - offset).unwrap()] = *byte;
        }
        Ok(bytes)
    }
}

#[test]
fn a_partition_that_cannot_be_read_is_not_looked_at_and_the_others_are() {
    let disk = disk("mbr-beside");
    let bad = |start: u64| Some(start..start + 512);
    let layout = read(&Altered { disk: &disk, bytes: BTreeMap::new(), bad: bad(18_432 * 512) });
    let expected = ["1 ext4: clean", "2 unreadable: not_looked_at", "3 LUKS: not_looked_at"];
    assert_eq!(told(&layout), expected);
    assert!(why(&layout, 1).contains("a bad sector"), "{layout:?}");
    let layout = read(&Altered { disk: &disk, bytes: BTreeMap::new(), bad: bad(0) });
    assert_eq!(told(&layout), ["disk unreadable: not_looked_at"]);
    assert!(layout.fault().is_some());
}

#[test]
fn partitions_are_named_by_number_and_a_disk_as_such() {
    for (text, name) in
        [("2", PartitionName::Number(2)), ("p12", PartitionName::Number(12)), ("disk", PartitionName::Disk)]
    {
        assert_eq!(text.parse(), Ok(name));
    }
    for text in ["", "0", "p", "p0", "+2", "-1", "2x", "Disk", "99999999999"] {
        assert_eq!(text.parse::<PartitionName>(), Err(PartitionNameError), "{text}");
    }
}

/// A fixture, unpacked once.
fn shared(at: usize) -> &'static [u8] {
    static DISKS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let names = ["mbr-logical", "gpt", "gpt-4096", "ext4-recover", "mbr-beside", "ntfs", "fat32", "exfat"];
    let disks = DISKS.get_or_init(|| names.iter().map(|name| disk(name)).collect());
    &disks[at % disks.len()]
}

/// Whether an ext superblock that is altered somewhere says of itself that it is unclean: by the kernel's documentation,
/// and not by the code under test.
fn says_unclean(disk: &Altered<'_>, offset: u64) -> bool {
    let sb = disk.bytes(offset + 1024, 1024).unwrap();
    let number = |at: usize| u32::from_le_bytes(sb[at..at + 4].try_into().unwrap());
    let state = u16::from_le_bytes([sb[0x3a], sb[0x3b]]);
    state & 7 != 1
        || number(0x60) & 4 != 0
        || number(0x64) & 0x1_0000 != 0
        || number(0xe8) != 0
        || number(0x194) != 0
}

proptest! {
    #![proptest_config(crate::block::tests::cases(400))]

    /// Bytes of tables and superblocks are altered, as bit rot or an attacker would.
    #[test]
    fn no_altered_disk_panics_or_is_clean_against_its_superblock(
        at in any::<usize>(),
        changes in proptest::collection::vec((any::<usize>(), 0_u64..4096, any::<u8>()), 1..24),
    ) {
        let disk = shared(at);
        let end = disk.len() as u64;
        let places: Vec<u64> = Layout::read(&disk)
            .partitions
            .iter()
            .flat_map(|one| [one.offset, one.offset + 1024])
            .chain([0, 446, 512, 4096, 20_480 * 512, end - 4096])
            .collect();
        let bytes = changes.iter().map(|(place, near, byte)| {
            // Half of the changes lie where the fields are.
            let near = if place % 2 == 0 { *near } else { near % 512 };
            ((places[place % places.len()] + near).min(end - 1), *byte)
        });
        let altered = Altered { disk, bytes: bytes.collect(), bad: None };
        let layout = read(&altered);
        prop_assert!(!layout.partitions.is_empty());
        for one in &layout.partitions {
            let is_ext = one.content.as_str() == "ext4";
            if one.condition == Condition::Clean && is_ext {
                prop_assert!(!says_unclean(&altered, one.offset), "{one}");
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..9000), magic in 0..6_usize) {
        let mut bytes = bytes;
        let magics: [(usize, &[u8]); 6] =
            [(510, b"\x55\xaa"), (512, b"EFI PART"), (0, b"XFSB"), (1080, b"\x53\xef"), (3, b"NTFS    "), (3, b"EXFAT   ")];
        let (at, magic) = magics[magic];
        if bytes.len() > 1100 {
            put(&mut bytes, at, magic);
            put(&mut bytes, 510, b"\x55\xaa");
        }
        fuzz_layout(&bytes);
    }
}

/// What mke2fs made and debugfs altered, judged by dumpe2fs.
#[test]
fn ext4_is_clean_where_dumpe2fs_says_so_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    std::fs::File::create(&path).unwrap().set_len(8 << 20).unwrap();
    let run = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).arg(&path).env("LC_ALL", "C").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if run("mke2fs", &["-q", "-F", "-t", "ext4"]).is_none() {
        println!("NOT TESTED: ext4 as the tools see it: there is no mke2fs here");
        return;
    }
    let whole = std::fs::read(&path).unwrap();
    for request in [
        "ssv state 0",
        "ssv state 1",
        "ssv state 2",
        "ssv state 3",
        "ssv error_count 7",
        "ssv last_orphan 11",
        "feature needs_recovery",
        "feature orphan_present",
        "ssv mnt_count 3",
    ] {
        std::fs::write(&path, &whole).unwrap();
        if run("debugfs", &["-w", "-R", request]).is_none() {
            println!("NOT TESTED: {request}: this debugfs does not know it");
            continue;
        }
        let Some(facts) = run("dumpe2fs", &["-h"]) else { continue };
        let fact = |name: &str| facts.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_clean = fact("Filesystem state:") == Some("clean")
            && fact("FS Error count:").is_none()
            && fact("First orphan inode:").is_none()
            && !fact("Filesystem features:").unwrap().contains("needs_recovery")
            && !fact("Filesystem features:").unwrap().contains("orphan_present");
        let layout = read(&&*std::fs::read(&path).unwrap());
        let expected = if is_clean { Condition::Clean } else { Condition::Dirty };
        assert_eq!(layout.partitions[0].condition, expected, "{request}: {facts}");
    }
}
