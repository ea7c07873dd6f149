//! Removing what no record names any more.
//!
//! Nothing is removed unless everything that may name it was read: beside one damaged record or layer, garbage
//! stays where it is.

use crate::block::Digest;
use crate::fault::Fault;
use crate::store::Store;
use crate::store::pending::Pending;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What may have become garbage.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    pub(crate) layers: HashSet<u64>,
    pub(crate) blocks: HashSet<Digest>,
}

impl Suspects {
    /// Every layer and block that has a file.
    pub(crate) fn all(store: &Store) -> Result<Self, Fault> {
        let files = &store.files;
        let layers = files.names(&files.layers())?;
        let layers = layers.iter().filter_map(|name| u64::from_str_radix(name, 16).ok()).collect();
        let mut blocks = HashSet::new();
        for fan in files.names(&files.blocks())? {
            let names = files.names(&files.blocks().join(fan))?;
            blocks.extend(names.iter().filter_map(|name| name.parse::<Digest>().ok()));
        }
        Ok(Self { layers, blocks })
    }
}

/// Moves those suspects that no record and no pending snapshot names to `tmp`, and returns their paths there, for the
/// caller to remove. Nobody may put meanwhile, and removing files can take milliseconds each; renaming them does not.
pub(crate) fn collect(
    store: &Store,
    pending: &[Arc<Pending>],
    mut suspects: Suspects,
) -> Result<Vec<PathBuf>, Fault> {
    let mut named = HashSet::new();
    for id in store.ids()? {
        if let Some(record) = store.record(&id)? {
            named.extend(record.layers);
        }
    }
    suspects.layers.retain(|version| !named.contains(version));
    for version in &suspects.layers {
        // A damaged one takes the names of its blocks with it; they stay until everything is swept.
        if let Ok(layer) = store.layer(*version) {
            suspects.blocks.extend(layer.digests());
        }
    }
    for digest in pending.iter().flat_map(|pending| pending.named()) {
        suspects.blocks.remove(&digest);
    }
    for version in named {
        if suspects.blocks.is_empty() {
            break;
        }
        for digest in store.layer(version)?.digests() {
            suspects.blocks.remove(digest);
        }
    }
    let files = &store.files;
    let mut discarded = Vec::new();
    for version in &suspects.layers {
        discarded.extend(files.discard(&files.layer(*version))?);
    }
    for digest in &suspects.blocks {
        discarded.extend(files.discard(&files.block(digest))?);
        store.blocks.forget(digest);
    }
    Ok(discarded)
}
