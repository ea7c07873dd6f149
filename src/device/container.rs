//! Files that hold a disk but are not its bytes: images of virtual machines, compressed files, archives.
//!
//! A [`Container`] is recognised by its magic number *and* by a header that makes sense (versions, sizes, reserved bits,
//! checksums where the format has them): a disk may begin with two bytes of gzip by chance, and is not refused for them.
//! Sources: `docs/interop/qcow2.rst`, `qed_spec.rst` and `parallels.rst` of QEMU; VMware's Virtual Disk Format 5.0;
//! Microsoft's specifications of VHD and VHDX; RFC 1951 and 1952 (gzip), RFC 8878 (zstd), the file format documents of
//! xz, LZ4, 7-Zip and bzip2; PKWARE's APPNOTE (zip); POSIX.1-2017 pax (tar).

use crate::fault::{Fault, Kind, Place};
use std::path::Path;

mod archives;
mod disks;

/// A format that holds a disk in other bytes than the disk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// QEMU, versions 2 and 3.
    Qcow2,
    /// QEMU, version 1.
    Qcow,
    /// QEMU's enhanced disk.
    Qed,
    /// VMware: a sparse extent, or the text that describes extents.
    Vmdk,
    /// Microsoft's older format, fixed, dynamic or differencing.
    Vhd,
    /// Microsoft's newer format.
    Vhdx,
    /// VirtualBox.
    Vdi,
    /// Parallels.
    Parallels,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// LZ4.
    Lz4,
    /// A zip archive.
    Zip,
    /// A 7-Zip archive.
    SevenZip,
    /// A tar archive, as an OVA is.
    Tar,
}

/// Gives bytes from an offset on, fewer at the end.
type ReadAt<'a> = dyn FnMut(u64, usize) -> Result<Vec<u8>, Fault> + 'a;

/// Bytes at the beginning that are looked at: a longer name or comment in a header of gzip is not followed.
const HEAD: usize = 4096;

impl Container {
    /// Recognises the format of a file of `len` bytes; `None` for the bytes of a disk.
    ///
    /// # Errors
    /// Those of `read`, which gives bytes from an offset on, fewer at the end.
    pub(super) fn recognise(read: &mut ReadAt<'_>, len: u64) -> Result<Option<Self>, Fault> {
        let head = read(0, HEAD)?;
        let found = [
            (Self::Qcow2, disks::is_qcow2(&head)),
            (Self::Qcow, disks::is_qcow(&head)),
            (Self::Qed, disks::is_qed(&head)),
            (Self::Vmdk, disks::is_vmdk(&head)),
            (Self::Vdi, disks::is_vdi(&head)),
            (Self::Parallels, disks::is_parallels(&head)),
            (Self::Gzip, archives::is_gzip(&head)),
            (Self::Xz, archives::is_xz(&head)),
            (Self::Bzip2, archives::is_bzip2(&head)),
            (Self::Lz4, archives::is_lz4(&head)),
            (Self::Zip, archives::is_zip(&head)),
            (Self::SevenZip, archives::is_seven_zip(&head)),
            (Self::Tar, archives::is_tar(&head)),
        ];
        if let Some((container, _)) = found.into_iter().find(|(_, is_it)| *is_it) {
            return Ok(Some(container));
        }
        Ok(match () {
            () if archives::is_zstd(read, &head)? => Some(Self::Zstd),
            () if disks::is_vhdx(read, &head)? => Some(Self::Vhdx),
            () if disks::is_vhd(read, &head, len)? => Some(Self::Vhd),
            () => None,
        })
    }

    /// Returns the format's name, with an article: `a qcow2 image`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "a qcow2 image",
            Self::Qcow => "a qcow image",
            Self::Qed => "a QED image",
            Self::Vmdk => "a VMDK image",
            Self::Vhd => "a VHD image",
            Self::Vhdx => "a VHDX image",
            Self::Vdi => "a VDI image",
            Self::Parallels => "a Parallels image",
            Self::Gzip => "a gzip file",
            Self::Xz => "an xz file",
            Self::Zstd => "a zstd file",
            Self::Bzip2 => "a bzip2 file",
            Self::Lz4 => "an LZ4 file",
            Self::Zip => "a zip archive",
            Self::SevenZip => "a 7-Zip archive",
            Self::Tar => "a tar archive",
        }
    }

    /// Returns the refusal to take such a file for a disk, with the ways on: the conversion, and this one.
    pub(super) fn refusal(self, path: &Path, otherwise: &str) -> Fault {
        let what = format!("it is {}, which holds a disk in another form", self.name());
        Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what)
            .hint(format!("make the disk of it with `{}`, or {otherwise}", self.conversion(path)))
    }

    /// Returns the command that makes a disk's bytes of such a file, and keeps the file.
    pub fn conversion(self, path: &Path) -> String {
        let file = quoted(&path.display().to_string());
        let raw = quoted(&format!("{}.raw", path.display()));
        // The format is named: QEMU takes a fixed VHD for raw bytes where it is not.
        let by_qemu = |format: &str| format!("qemu-img convert -f {format} -O raw {file} {raw}");
        // These programs refuse names that do not end as theirs do.
        let unpacked = |suffix: &str, kept: &str, piped: &str| match path.extension() {
            Some(extension) if extension == suffix => format!("{kept} {file}"),
            _ => format!("{piped} < {file} > {raw}"),
        };
        match self {
            Self::Qcow2 => by_qemu("qcow2"),
            Self::Qcow => by_qemu("qcow"),
            Self::Qed => by_qemu("qed"),
            Self::Vmdk => by_qemu("vmdk"),
            Self::Vhd => by_qemu("vpc"),
            Self::Vhdx => by_qemu("vhdx"),
            Self::Vdi => by_qemu("vdi"),
            Self::Parallels => by_qemu("parallels"),
            Self::Gzip => unpacked("gz", "gunzip -k", "gunzip -c"),
            Self::Xz => unpacked("xz", "xz -dk", "xz -dc"),
            Self::Zstd => unpacked("zst", "zstd -d", "zstd -dc"),
            Self::Bzip2 => unpacked("bz2", "bunzip2 -k", "bunzip2 -c"),
            // By itself it writes to a file only where its output is a terminal.
            Self::Lz4 => format!("lz4 -dc < {file} > {raw}"),
            Self::Zip => format!("unzip {file}"),
            Self::SevenZip => format!("7z x {file}"),
            Self::Tar => format!("tar -xf {file}"),
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,".contains(c);
    match word.chars().all(is_plain) && !word.starts_with('-') {
        true => word.to_owned(),
        false if word.starts_with('-') => quoted(&format!("./{word}")),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Bytes at a place as an array; `None` where there are fewer.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests;
