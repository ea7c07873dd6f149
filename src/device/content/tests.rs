use super::*;

fn put(disk: &mut [u8], at: usize, bytes: &[u8]) {
    disk[at..at + bytes.len()].copy_from_slice(bytes);
}

fn found(disk: &[u8]) -> Content {
    content(&mut Reader::new(&disk), 0, disk.len() as u64).unwrap()
}

fn ext_at(disk: &mut [u8], start: usize) {
    put(disk, start + 1024 + 4, &64_u32.to_le_bytes());
    put(disk, start + 1024 + 0x38, &0xef53_u16.to_le_bytes());
    put(disk, start + 1024 + 0x68, &[0x11; 16]);
}

#[test]
fn a_physical_volume_bears_its_group() {
    let mut disk = vec![0; 1 << 20];
    put(&mut disk, 512, b"LABELONE");
    put(&mut disk, 512 + 20, &32_u32.to_le_bytes());
    put(&mut disk, 512 + 24, b"LVM2 001");
    let header = 512 + 32;
    put(&mut disk, header, b"JtFhjPUmz51kzuaWUlTXW7qV1uRpg2ZK");
    let alone = vec!["physical volume JtFhjP-Umz5-1kzu-aWUl-TXW7-qV1u-Rpg2ZK".to_owned()];
    assert_eq!(found(&disk).identities(), alone);
    // One data area, the end of their list, one metadata area.
    put(&mut disk, header + 40, &(1_u64 << 20).to_le_bytes());
    put(&mut disk, header + 72, &4096_u64.to_le_bytes());
    put(&mut disk, 4096 + 4, b" LVM2 x[5A%r0N*>");
    put(&mut disk, 4096 + 40, &512_u64.to_le_bytes());
    put(&mut disk, 4096 + 512, b"data {\nid = \"0Z1kqe-ABCD\"\nseqno = 1\n");
    let mut grouped = alone;
    grouped.push("volume group data (0Z1kqe-ABCD)".to_owned());
    assert_eq!((found(&disk).identities(), found(&disk).label()), (grouped, Some("data")));
}

#[test]
fn a_member_of_an_array_is_no_file_system_whatever_version_it_is_of() {
    let len = 1 << 20;
    for (at, major, uuid) in [(0, 1, 16), (4096, 1, 16), (len - 8192, 1, 16), (len - 0x1_0000, 0, 20)] {
        let mut disk = vec![0; len];
        if at > 1024 {
            ext_at(&mut disk, 0);
        }
        put(&mut disk, at, &0xa92b_4efc_u32.to_le_bytes());
        put(&mut disk, at + 4, &[major]);
        put(&mut disk, at + uuid, &[0x22; 4]);
        let names = found(&disk).identities();
        assert!(names[0].starts_with("array 22222222-"), "{names:?}");
    }
}

#[test]
fn swap_space_is_recognised_on_pages_of_every_size_and_with_the_memory_of_a_suspended_system() {
    for page in [4096, 8192, 16_384, 32_768, 65_536] {
        for (signature, is_suspended) in
            [(&b"SWAPSPACE2"[..], false), (b"S1SUSPEND\0", true), (b"LINHIB0001", true)]
        {
            let mut disk = vec![0; 1 << 20];
            put(&mut disk, 1052, b"swap0");
            put(&mut disk, page - 10, signature);
            let expected = Content::Swap { uuid: [0; 16], label: Some("swap0".into()), is_suspended };
            assert_eq!(found(&disk), expected, "{page}");
        }
    }
}

#[test]
fn an_area_with_the_signatures_of_several_is_none_of_them() {
    let mut disk = vec![0; 1 << 20];
    ext_at(&mut disk, 0);
    assert!(matches!(found(&disk), Content::FileSystem(_)));
    put(&mut disk, 65_600, b"_BHRfS_M");
    assert_eq!(found(&disk), Content::Several(vec!["ext4".into(), "btrfs".into()]));
}

#[test]
fn what_is_recognised_and_not_examined_is_named() {
    for (at, magic, name) in [
        (0, &b"LUKS\xba\xbe"[..], "LUKS"),
        (3, b"-FVE-FS-", "BitLocker"),
        (0, b"hsqs", "squashfs"),
        (1024, &[0x10, 0x20, 0xf5, 0xf2], "f2fs"),
        (32_769, b"CD001", "iso9660"),
        (65_600, b"_BHRfS_M", "btrfs"),
    ] {
        let mut disk = vec![0; 1 << 20];
        put(&mut disk, at, magic);
        assert_eq!(found(&disk).as_str(), name);
    }
}

#[test]
fn names_on_a_disk_cannot_act_upon_a_terminal() {
    let mut disk = vec![0; 1 << 20];
    ext_at(&mut disk, 0);
    put(&mut disk, 1024 + 0x78, b"a\x1b[2J\n\xe2\x80\xae!");
    let Content::FileSystem(system) = found(&disk) else { panic!("ext4") };
    assert_eq!(system.label.as_deref(), Some("a?[2J??!"));
}

#[test]
fn rubbish_is_no_signature_and_no_panic() {
    let mut chance = fastrand::Rng::with_seed(3);
    for len in [0, 100, 512, 4096, 9000, 200_000] {
        let mut disk: Vec<u8> = std::iter::repeat_with(|| chance.u8(..)).take(len).collect();
        crate::device::fuzz_layout(&disk);
        let magics = [(512, &b"LABELONE"[..]), (536, b"LVM2 001"), (4100, b" LVM2 x[5A%r0N*>"), (0, b"XFSB")];
        let boots = [(3, &b"NTFS    "[..]), (510, b"\x55\xaa"), (3, b"EXFAT   "), (0, b"\xeb")];
        for (at, magic) in magics.into_iter().chain(boots) {
            if at + 16 <= len {
                put(&mut disk, at, magic);
            }
            crate::device::fuzz_layout(&disk);
        }
    }
}
