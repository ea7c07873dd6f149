use super::*;
use crate::block::BlockIndex;
use crate::device::Image;
use crate::disk::Machine;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a file of these bytes is recognised as, at this length.
fn of_sparse(bytes: &[u8], len: u64) -> Option<Container> {
    let mut read = |offset: u64, n: usize| {
        let byte = |at: u64| usize::try_from(at).ok().and_then(|at| bytes.get(at)).copied().unwrap_or(0);
        Ok((offset..len.min(offset.saturating_add(n as u64))).map(byte).collect())
    };
    Container::recognise(&mut read, len).unwrap()
}

fn of(bytes: &[u8]) -> Option<Container> {
    of_sparse(bytes, bytes.len() as u64)
}

/// The beginnings of files as their own programs made them, of a disk of 16 MiB that begins with a boot sector; the VHD
/// with its end, where a fixed one has its only mark.
const MADE: &[(Container, &[u8], u64)] = &[
    (Container::Qcow2, include_bytes!("../../../fixtures/containers/disk.qcow2"), 0),
    (Container::Qcow2, include_bytes!("../../../fixtures/containers/compat-0.10.qcow2"), 0),
    (Container::Qcow, include_bytes!("../../../fixtures/containers/disk.qcow"), 0),
    (Container::Qed, include_bytes!("../../../fixtures/containers/disk.qed"), 0),
    (Container::Vmdk, include_bytes!("../../../fixtures/containers/disk.vmdk"), 0),
    (Container::Vmdk, include_bytes!("../../../fixtures/containers/stream.vmdk"), 0),
    (Container::Vmdk, include_bytes!("../../../fixtures/containers/flat.vmdk"), 0),
    (Container::Vhd, include_bytes!("../../../fixtures/containers/dynamic.vhd"), 0),
    (Container::Vhd, include_bytes!("../../../fixtures/containers/fixed.vhd"), 16 << 20),
    (Container::Vdi, include_bytes!("../../../fixtures/containers/disk.vdi"), 0),
    (Container::Parallels, include_bytes!("../../../fixtures/containers/disk.parallels"), 0),
    (Container::Gzip, include_bytes!("../../../fixtures/containers/disk.gz"), 0),
    (Container::Gzip, include_bytes!("../../../fixtures/containers/stored.gz"), 0),
    (Container::Xz, include_bytes!("../../../fixtures/containers/disk.xz"), 0),
    (Container::Zstd, include_bytes!("../../../fixtures/containers/disk.zst"), 0),
    (Container::Bzip2, include_bytes!("../../../fixtures/containers/disk.bz2"), 0),
    (Container::Lz4, include_bytes!("../../../fixtures/containers/disk.lz4"), 0),
    (Container::Zip, include_bytes!("../../../fixtures/containers/disk.zip"), 0),
    (Container::Tar, include_bytes!("../../../fixtures/containers/disk.tar"), 0),
];

/// The file of which these are the beginning, or the end.
fn whole(made: &[u8], end_at: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(end_at).unwrap()];
    bytes.extend_from_slice(made);
    bytes
}

#[test]
fn what_its_own_program_made_is_recognised() {
    for (n, (container, made, at)) in MADE.iter().enumerate() {
        assert_eq!(of(&whole(made, *at)), Some(*container), "number {n}");
    }
}

#[test]
fn a_vhdx_needs_its_headers_where_they_must_be() {
    let made = include_bytes!("../../../fixtures/containers/disk.vhdx");
    let mut bytes = vec![0; 1 << 20];
    bytes[..made.len()].copy_from_slice(made);
    assert_eq!(of(&bytes), None);
    bytes[128 << 10..][..4].copy_from_slice(b"head");
    assert_eq!(of(&bytes), Some(Container::Vhdx));
}

#[test]
fn a_zstd_file_of_a_parallel_compressor_is_one_behind_its_first_frame() {
    let made = include_bytes!("../../../fixtures/containers/disk.zst");
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 9, 9, 9, 9], &made[..]].concat();
    assert_eq!(of(&skipped), Some(Container::Zstd));
    assert_eq!(of(&[&skipped[..12], &[0; 512]].concat()), None, "a frame to be skipped alone");
}

#[test]
fn an_empty_archive_holds_no_disk_and_is_none() {
    let mut end = [0; 22];
    end[..4].copy_from_slice(b"PK\x05\x06");
    assert_eq!(of(&end), Some(Container::Zip));
    let mut seven = [0; 32];
    seven[..8].copy_from_slice(&[0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4]);
    let sum = crc32fast::hash(&seven[12..]);
    seven[8..12].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(of(&seven), Some(Container::SevenZip));
    seven[31] ^= 1;
    assert_eq!(of(&seven), None, "its checksum is wrong");
}

#[test]
fn a_disk_that_begins_with_a_magic_number_by_chance_is_a_disk() {
    let magics: [&[u8]; 15] = [
        b"QFI\xfb",
        b"QED\0",
        b"KDMV",
        b"COWD",
        b"# Disk DescriptorFile",
        b"conectix",
        b"vhdxfile",
        b"<<< Oracle",
        b"WithoutFreeSpace",
        &[0x1f, 0x8b],
        b"\xfd7zXZ\0",
        &[0x28, 0xb5, 0x2f, 0xfd],
        b"BZh9",
        &[4, 0x22, 0x4d, 0x18],
        b"PK\x03\x04",
    ];
    let mut rng = fastrand::Rng::with_seed(11);
    for magic in magics {
        for fill in [Some(0), Some(0xff), Some(0xf6), None] {
            let mut disk: Vec<u8> = (0..1 << 20).map(|_| fill.unwrap_or_else(|| rng.u8(..))).collect();
            disk[..magic.len()].copy_from_slice(magic);
            // As boot code that jumps over a table.
            disk[510..512].copy_from_slice(&[0x55, 0xaa]);
            assert_eq!(of(&disk), None, "{magic:?} and {fill:?}");
        }
    }
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[0x1f]), None);
}

#[test]
fn a_header_that_makes_no_sense_is_none() {
    // Versions, sizes, reserved bits, checksums: each is one byte of a file that was recognised.
    for (name, made, at, value) in [
        ("qcow2's version", MADE[0].1, 7, 4),
        ("qcow2's clusters", MADE[0].1, 23, 40),
        ("qcow2's length of header", MADE[0].1, 103, 4),
        ("vmdk's grain", MADE[4].1, 20, 3),
        ("vmdk's line ends", MADE[4].1, 75, b'\n'),
        ("vhd's checksum", MADE[7].1, 40, 0xee),
        ("gzip's method", MADE[11].1, 2, 7),
        ("gzip's reserved flags", MADE[11].1, 3, 0x80),
        ("gzip's system", MADE[11].1, 9, 77),
        ("xz's checksum", MADE[13].1, 8, 0),
        ("zstd's reserved bit", MADE[14].1, 4, MADE[14].1[4] | 8),
        ("zip's method", MADE[17].1, 9, 0xff),
        ("tar's checksum", MADE[18].1, 0, 0xff),
    ] {
        let mut bytes = made.to_vec();
        assert_ne!(bytes[at], value, "{name}");
        bytes[at] = value;
        // What follows a header says nothing: the file is longer than it.
        bytes.resize(4096, 0);
        assert_eq!(of(&bytes), None, "{name}");
    }
}

#[test]
fn a_disk_that_holds_a_fixed_vhd_at_its_end_is_a_disk() {
    let footer = MADE[8].1;
    assert_eq!(of_sparse(&whole(footer, 16 << 20), (16 << 20) + 512), Some(Container::Vhd));
    assert_eq!(of_sparse(&whole(footer, 32 << 20), (32 << 20) + 512), None, "it is of another size");
    assert_eq!(of_sparse(&whole(footer, 16 << 20), (16 << 20) + 1024), None, "it does not end the file");
}

/// Runs a program; `None` where this machine has none.
fn made_by(program: &str, args: &[&str]) -> Option<()> {
    let ran = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.ok().filter(std::process::ExitStatus::success).map(drop)
}

/// A disk of 8 MiB in this directory.
fn disk(dir: &Path) -> PathBuf {
    let path = dir.join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(8 << 20).unwrap();
    file.write_all_at(&[7; 4096], 1 << 20).unwrap();
    path
}

#[test]
fn every_format_of_qemu_is_recognised_and_converted_by_the_command_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let machine = Machine::real(dir.path().to_owned());
    for (format, options) in [
        ("qcow2", "compat=1.1"),
        ("qcow2", "compat=0.10"),
        ("qcow2", "cluster_size=512"),
        ("qcow2", "cluster_size=2M"),
        ("qcow", ""),
        ("qed", ""),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=monolithicFlat"),
        ("vmdk", "subformat=twoGbMaxExtentSparse"),
        ("vmdk", "subformat=streamOptimized"),
        ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
        ("vhdx", "subformat=dynamic"),
        ("vhdx", "subformat=fixed"),
        ("vdi", ""),
        ("parallels", ""),
    ] {
        // A name that a shell would take apart.
        let path = dir.path().join(format!("it's a {format} {}", options.replace(',', " ")));
        let (from, to) = (disk.to_str().unwrap(), path.to_str().unwrap());
        let args = ["convert", "-f", "raw", "-O", format, "-o", options, from, to];
        let args: Vec<_> =
            args.into_iter().filter(|arg| !arg.is_empty() && (*arg != "-o" || !options.is_empty())).collect();
        if made_by("qemu-img", &args).is_none() {
            continue;
        }
        let fault = Image::open(&path, &machine).unwrap_err();
        let command = fault.advice().unwrap().split('`').nth(1).unwrap().to_owned();
        made_by("sh", &["-c", &command]).unwrap_or_else(|| panic!("{command}"));
        let raw = Image::open(&PathBuf::from(format!("{to}.raw")), &machine).unwrap();
        assert_eq!(raw.len(), 8 << 20, "{command}");
        let block = |index| raw.part(BlockIndex::new(index)).unwrap();
        assert_eq!((block(0), block(3)), (crate::device::Part::Zero, crate::device::Part::Zero), "{command}");
        assert!(
            matches!(block(2), crate::device::Part::Data(bytes) if bytes[..4096] == [7; 4096]),
            "{command}"
        );
        // Bytes are bytes where that is meant.
        assert!(Image::open_raw(&path, &machine).is_ok());
    }
}

#[test]
fn compressed_files_are_recognised_and_the_command_that_is_named_unpacks_them() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let machine = Machine::real(dir.path().to_owned());
    for (program, suffix) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst"), ("bzip2", "bz2"), ("lz4", "lz4")]
    {
        for name in [format!("a copy.img.{suffix}"), "-odd".to_owned()] {
            let path = dir.path().join(name);
            let line = format!("{program} -c < '{}' > '{}'", disk.display(), path.display());
            if made_by("sh", &["-c", &line]).is_none() {
                continue;
            }
            let fault = Image::open(&path, &machine).unwrap_err();
            let command = fault.advice().unwrap().split('`').nth(1).unwrap().to_owned();
            made_by("sh", &["-c", &command]).unwrap_or_else(|| panic!("{command}"));
            let unpacked = match path.extension() {
                Some(_) if program != "lz4" => path.with_extension(""),
                _ => PathBuf::from(format!("{}.raw", path.display())),
            };
            assert!(std::fs::read(&unpacked).unwrap() == std::fs::read(&disk).unwrap(), "{command}");
            assert!(path.exists(), "{command} keeps what it unpacks");
            std::fs::remove_file(unpacked).unwrap();
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_refusal_names_the_file_the_format_and_both_ways_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.qcow2");
    std::fs::write(&path, MADE[0].1).unwrap();
    let fault = Image::open(&path, &Machine::real(dir.path().to_owned())).unwrap_err();
    assert_eq!(fault.kind, crate::fault::Kind::Unsuitable);
    let at = path.display();
    assert_eq!(fault.to_string(), format!("{at}: it is a qcow2 image, which holds a disk in another form"));
    assert_eq!(
        fault.advice().unwrap(),
        format!(
            "make the disk of it with `qemu-img convert -f qcow2 -O raw {at} {at}.raw`, or take its bytes as they are \
                 with --raw"
        )
    );
}
