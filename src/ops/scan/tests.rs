use super::*;
use crate::disk::faulty::{Act, Faulty};
use crate::disk::{Machine, RealDisk};
use crate::monitor::Recorder;
use crate::pipeline::{Settings, Stop};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Keeps what it hears.
#[derive(Default)]
struct Heard {
    read: Mutex<Vec<(u32, Digest)>>,
    zeros: Mutex<BlockSet>,
    n_ranges: AtomicU64,
}

impl Listener for Heard {
    fn read(&self, block: &Scanned) -> Result<(), Fault> {
        self.read.lock().unwrap().push((block.index.get(), block.digest));
        Ok(())
    }

    fn zeros(&self, blocks: BlockRange) -> Result<(), Fault> {
        self.n_ranges.fetch_add(1, Ordering::Relaxed);
        self.zeros.lock().unwrap().insert_range(blocks);
        Ok(())
    }

    fn unreadable(&self, _: BlockIndex, fault: Fault) -> Result<(), Fault> {
        Err(fault)
    }
}

/// A sparse file with these blocks of data.
fn sparse(path: &Path, len: u64, blocks: &[u32]) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    for index in blocks {
        file.write_all_at(&[9; 524_288], u64::from(*index) * 524_288).unwrap();
    }
}

#[tokio::test]
async fn a_hole_is_reported_in_ranges_and_costs_neither_reads_nor_questions() {
    const DATA: [u32; 3] = [0, 70_000, 131_071];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    sparse(&path, 64 << 30, &DATA);
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let disk = Faulty::new(Arc::new(RealDisk::default()), move |act, _| {
        counted.fetch_add(u64::from(act == Act::Read), Ordering::Relaxed);
        Ok(())
    });
    let machine = Machine { disk: Arc::new(disk), ..Machine::real(PathBuf::new()) };
    let recorder = Arc::new(Recorder::default());
    let engine = Engine::new(Settings::open(PathBuf::new()), recorder.clone(), Stop::new());
    let image = Arc::new(Image::open(&path, &machine).unwrap());
    let heard = Arc::new(Heard::default());
    // Some blocks lie beyond the image's end.
    let wanted = BlockSet::from(BlockRange::new(BlockIndex::ZERO, 140_000));
    calls.store(0, Ordering::Relaxed);
    scan(&engine, &image, wanted, &heard).await.unwrap();
    let calls = calls.load(Ordering::Relaxed);
    // Two questions for each extent and the one after the last, and each block of data in one piece.
    assert!(calls <= 2 * 3 + 1 + 3, "{calls} calls");
    let mut read = heard.read.lock().unwrap().clone();
    read.sort_unstable_by_key(|(index, _)| *index);
    let digest = Digest::of(&[9; 524_288]);
    assert_eq!(read, DATA.map(|index| (index, digest)));
    let zeros = heard.zeros.lock().unwrap();
    assert_eq!(zeros.len(), 140_000 - 3);
    assert!(DATA.into_iter().all(|index| !zeros.contains(BlockIndex::new(index))));
    let n_ranges = heard.n_ranges.load(Ordering::Relaxed);
    assert!(n_ranges <= 3 + 140_000 / u64::from(ZEROS_AT_ONCE) + 1, "{n_ranges} ranges");
    let done = recorder.events().into_iter().map(|event| match event {
        Event::Done { blocks, .. } => blocks,
        _ => 0,
    });
    assert_eq!(done.sum::<u64>(), 140_000, "all of it counts as progress");
}

#[tokio::test]
async fn a_stop_ends_a_scan_of_holes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    sparse(&path, 1 << 40, &[]);
    let stop = Stop::new();
    let engine = Engine::new(Settings::open(PathBuf::new()), Arc::new(Recorder::default()), stop.clone());
    let image = Arc::new(Image::open(&path, &Machine::real(PathBuf::new())).unwrap());
    stop.request();
    let wanted = BlockSet::from(BlockRange::new(BlockIndex::ZERO, 1 << 21));
    let heard = Arc::new(Heard::default());
    let fault = scan(&engine, &image, wanted, &heard).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Interrupted);
    assert!(heard.zeros.lock().unwrap().is_empty());
}
