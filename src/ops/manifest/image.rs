//! The manifest of an image or a device.

use crate::block::{BlockIndex, BlockRange, BlockSet, ByteSize, Digest, Geometry, GiB};
use crate::device::{Image, Unchanged};
use crate::disk::{Disk, Machine, Opening};
use crate::fault::{Fault, Kind, Place};
use crate::manifest::{self, About, Draft, Roots};
use crate::monitor::Event;
use crate::ops::Engine;
use crate::ops::manifest::{Options, Report, check_output};
use crate::ops::scan::{Listener, Scanned, scan};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// Reads every block of an image or device and writes its manifest. Blocks of zeros are read where they are no
/// holes, and not listed. A file that holds a disk in another form is refused.
pub async fn of_image(path: &Path, options: &Options, engine: &Engine) -> Result<Report, Fault> {
    made_of(path, Image::open, options, engine).await
}

/// Does the same with the bytes of any file.
pub async fn of_raw_image(path: &Path, options: &Options, engine: &Engine) -> Result<Report, Fault> {
    made_of(path, Image::open_raw, options, engine).await
}

async fn made_of(
    path: &Path,
    open: fn(&Path, &Machine) -> Result<Image, Fault>,
    options: &Options,
    engine: &Engine,
) -> Result<Report, Fault> {
    let start = Instant::now();
    check_output(engine.machine().disk.as_ref(), &options.output, options.force)?;
    let refused = |what: String| Fault::new(Kind::Unsuitable, Place::File(path.to_owned()), what);
    if options.base.is_some() {
        return Err(refused("nobody tells what has changed in an image since a base was made".to_owned())
            .hint("leave --base out: an image is read whole"));
    }
    let image = Arc::new(open(path, engine.machine())?);
    if is_one_file(engine.machine().disk.as_ref(), path, &options.output) {
        return Err(refused("the manifest would take its place".to_owned()).hint("give -o another file"));
    }
    let volume_size =
        GiB::holding(image.len()).map_err(|error| refused(format!("it is too large: {error}")))?;
    let geometry = Geometry::ebs(volume_size);
    let blocks = image.len().div_ceil(u64::from(geometry.block_size.bytes()));
    engine.monitor.on(Event::Stage { verb: "hashing", total: Some(blocks) });
    let found = Arc::new(Found::beside(&engine.machine().disk, &options.output, geometry)?);
    let n_held = u32::try_from(blocks).unwrap_or(u32::MAX).min(geometry.n_blocks());
    let held = BlockSet::from(BlockRange::new(BlockIndex::ZERO, n_held));
    let scanned = scan(engine, &image, held, &found).await;
    let roots = match image.concluded(scanned) {
        Ok(((), unchanged)) => {
            let about = About {
                snapshot_id: None,
                geometry,
                size: ByteSize::from_bytes(image.len()),
                is_encrypted: None,
            };
            found.write(engine.machine().disk.as_ref(), &options.output, &about, unchanged)
        }
        Err(fault) => Err(fault),
    };
    let present = found.count();
    // The digests are in the manifest now, or serve nobody.
    let removed = Arc::into_inner(found).map_or(Ok(()), Found::remove);
    let roots = roots?;
    removed?;
    Ok(Report {
        name: path.display().to_string(),
        snapshot_id: None,
        is_encrypted: None,
        geometry,
        size: ByteSize::from_bytes(image.len()),
        output: options.output.clone(),
        blocks: present,
        blocks_read: blocks,
        blocks_resumed: 0,
        blocks_from_base: 0,
        base: None,
        roots,
        requests: None,
        elapsed: start.elapsed(),
    })
}

/// Whether both names are of the same file, which need not be there.
fn is_one_file(disk: &dyn Disk, one: &Path, other: &Path) -> bool {
    let id = |path| Some(disk.open(path, Opening::Read).ok()?.facts().ok()?.id);
    id(one).is_some_and(|one| id(other) == Some(one))
}

/// The blocks with data found so far.
#[derive(Debug)]
struct Found {
    draft: Draft,
    present: Mutex<BlockSet>,
}

impl Found {
    /// Digests lie beside the output, where there has to be room anyway.
    fn beside(disk: &Arc<dyn Disk>, output: &Path, geometry: Geometry) -> Result<Self, Fault> {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".icecore-digests");
        let draft = Draft::open(disk, &output.with_file_name(name), geometry, 0)?;
        Ok(Self { draft, present: Mutex::default() })
    }

    /// Writes the manifest of an image that did not change while it was read.
    fn write(&self, disk: &dyn Disk, output: &Path, about: &About, _: Unchanged) -> Result<Roots, Fault> {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        manifest::write(disk, output, about, &present, self.draft.digests())
    }

    fn count(&self) -> u64 {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn remove(self) -> Result<(), Fault> {
        self.draft.remove()
    }
}

impl Listener for Found {
    fn read(&self, block: &Scanned) -> Result<(), Fault> {
        if block.digest == Digest::ZERO_BLOCK {
            return Ok(());
        }
        self.draft.put(block.index, &block.digest)?;
        self.present.lock().unwrap_or_else(PoisonError::into_inner).insert(block.index);
        Ok(())
    }

    /// What a manifest does not list is zero.
    fn zeros(&self, _: BlockRange) -> Result<(), Fault> {
        Ok(())
    }

    /// A manifest with a block left out would say that it is zero.
    fn unreadable(&self, _: BlockIndex, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}
