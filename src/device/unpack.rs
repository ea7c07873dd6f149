//! Unpacking a compressed image.

use crate::block::{BlockSize, is_zero};
use crate::fault::Fault;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Unpacks a zstd stream of a whole image into a sparse file: blocks of zeros become holes. Gives its size.
pub fn unpack(packed: &[u8], path: &Path) -> Result<u64, Fault> {
    let fault = |error| Fault::local(path, "unpack", error);
    let file = File::create(path).map_err(fault)?;
    let mut stream = zstd::stream::read::Decoder::with_buffer(packed).map_err(fault)?;
    let mut block = Vec::with_capacity(BlockSize::EBS.buffer_len());
    let mut at = 0;
    loop {
        block.clear();
        let read = stream.by_ref().take(u64::from(BlockSize::EBS.bytes())).read_to_end(&mut block);
        if read.map_err(fault)? == 0 {
            break;
        }
        if !is_zero(&block) {
            file.write_all_at(&block, at).map_err(fault)?;
        }
        at += block.len() as u64;
    }
    file.set_len(at).map_err(fault)?;
    Ok(at)
}
