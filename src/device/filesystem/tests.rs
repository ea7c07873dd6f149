use super::*;

const UUID: [u8; 16] = *b"0123456789abcdef";

fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

fn ext_at(disk: &mut [u8], start: usize, mounted: u32, written: u32) {
    let sb = start + 1024;
    put(disk, sb + 4, &65_536_u32.to_le_bytes());
    put(disk, sb + 0x18, &2_u32.to_le_bytes());
    put(disk, sb + 0x2c, &mounted.to_le_bytes());
    put(disk, sb + 0x30, &written.to_le_bytes());
    put(disk, sb + 0x38, &0xef53_u16.to_le_bytes());
    put(disk, sb + 0x3a, &1_u16.to_le_bytes());
    put(disk, sb + 0x68, &UUID);
}

fn found(disk: &[u8]) -> FileSystem {
    FileSystem::at(0, disk).unwrap()
}

#[test]
fn an_ext_superblock_has_its_extent_and_its_times() {
    let mut disk = vec![0; 8192];
    ext_at(&mut disk, 0, 1_700_000_000, 1_700_000_050);
    let fs = found(&disk);
    assert_eq!((fs.kind, fs.offset, fs.size), (FileSystemKind::Ext, 0, ByteSize::from_mib(256)));
    assert_eq!((fs.uuid, fs.is_clean()), (UUID, Some(true)));
    assert!(
        fs.is_used_after(UnixMillis(1_700_000_049_999)) && !fs.is_used_after(UnixMillis(1_700_000_050_000))
    );
    assert!(fs.holds(0, 256 << 20) && !fs.holds(1, 256 << 20));
    ext_at(&mut disk, 0, 1_700_000_001, 1_700_000_050);
    assert!(found(&disk).is_later_than(&fs) && !fs.is_later_than(&found(&disk)));
    let mut other = disk.clone();
    put(&mut other, 1024 + 0x68, b"another");
    assert!(!found(&other).is_later_than(&fs), "another UUID is another file system");
}

/// Each mark by itself makes it unclean; the judge of real ones is in the tests of layouts.
#[test]
fn an_ext_superblock_with_any_mark_is_not_clean() {
    let mut clean = vec![0; 8192];
    ext_at(&mut clean, 0, 5, 6);
    for (at, bytes, said) in [
        (0x3a, &[0_u8][..], "not unmounted"),
        (0x3a, &[3], "having errors"),
        (0x3a, &[2], "having errors"),
        (0x3a, &[5], "orphan inodes"),
        (0x60, &[4], "journal has to be replayed"),
        (0x66, &[1], "orphan inodes"),
        (0xe8, &[12], "orphan inodes"),
        (0x194, &[1], "has recorded 1 errors"),
        (0x65, &[4], "does not match its checksum"),
    ] {
        let mut disk = clean.clone();
        put(&mut disk, 1024 + at, bytes);
        match found(&disk).consistency {
            Consistency::Dirty(why) => assert!(why.contains(said), "{why}"),
            other => panic!("{at:#x}: {other:?}"),
        }
    }
    put(&mut clean, 1024 + 0x62, &[0x80]);
    assert_eq!(found(&clean).is_clean(), None, "a feature of a later kernel may mean anything");
}

#[test]
fn an_xfs_superblock_has_its_sequence() {
    let mut disk = vec![0; 8192];
    put(&mut disk, 0, b"XFSB");
    put(&mut disk, 4, &4096_u32.to_be_bytes());
    put(&mut disk, 8, &1024_u64.to_be_bytes());
    put(&mut disk, 32, &UUID);
    put(&mut disk, 100, &0xb4b5_u16.to_be_bytes());
    put(&mut disk, 240, &7_u64.to_be_bytes());
    let before = found(&disk);
    assert_eq!((before.size, before.sequence, before.is_clean()), (ByteSize::from_mib(4), Some(7), None));
    put(&mut disk, 240, &8_u64.to_be_bytes());
    assert!(found(&disk).is_later_than(&before) && !before.is_later_than(&before));
    put(&mut disk, 219, &[0x10]);
    assert_eq!(found(&disk).is_clean(), Some(false), "it needs repair");
}

#[test]
fn the_checksum_of_ext_is_crc_32c() {
    // RFC 3720, B.4: 32 bytes of zeros; there the result is inverted.
    assert_eq!(!ext::crc32c(&[0; 32]), 0x8a91_36aa);
}
