//! Bundles that were begun and not finished.

use super::*;

/// A report of so many pieces of 1 MiB, written as it is made.
pub(super) fn long(pieces: usize, before_each: impl Fn(usize)) -> impl Fn(&mut dyn Write) -> io::Result<()> {
    move |out| {
        out.write_all(br#"{"state":"fail","mismatches":""#)?;
        for piece in 0..pieces {
            before_each(piece);
            out.write_all(&[b'x'; 1 << 20])?;
        }
        out.write_all(br#"","schema":"icecore/verify/1"}"#)
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_report_leaves_nothing_and_says_what_to_do() {
    let disk = disk();
    kept(&disk, None, 1);
    let chain = Chain::open(Arc::new(disk.clone()), dir(), None).unwrap();
    let before = disk.files();
    let filling = long(8, |piece| {
        if piece == 4 {
            let is_draft = |path: &PathBuf| path.to_string_lossy().contains(".draft-");
            let draft = disk.files().into_iter().find(is_draft).unwrap();
            assert!(disk.read(&draft, 1 << 26).unwrap().len() >= 3 << 20, "it is written while it is made");
            disk.fill();
        }
    });
    let fault = chain.keep(&about(), &filling, &[], NOW).unwrap_err();
    assert!(fault.kind == crate::fault::Kind::Local && fault.is_disk_full(), "{fault}");
    assert_eq!(fault.advice(), Some("make room and give the same command again"));
    assert_eq!((disk.files(), drafts(&disk)), (before, 0));
    assert_eq!(found(&disk, &Trust::default()), []);

    let room = disk.killed();
    let chain = Chain::open(Arc::new(room.clone()), dir(), None).unwrap();
    assert_eq!(chain.keep(&about(), &long(8, |_| {}), &[], NOW).unwrap().number, 2);
    let examined = examine(&room, dir(), &Trust::default(), NOW).unwrap();
    let statement = &examined.head().unwrap().statement;
    let said = [&statement.report, &statement.state].map(|said| said.as_deref().unwrap());
    assert_eq!((examined.findings.len(), said), (0, ["icecore/verify/1", "fail"]));
}

#[test]
fn a_report_that_cannot_be_made_to_its_end_is_no_bundle() {
    let disk = disk();
    let chain = Chain::open(Arc::new(disk.clone()), dir(), None).unwrap();
    let broken = |out: &mut dyn Write| {
        long(2, |_| {})(out)?;
        Err(io::Error::other("what was found wrong cannot be read"))
    };
    let fault = chain.keep(&about(), &broken, &[], NOW).unwrap_err();
    assert!(fault.to_string().ends_with("what was found wrong cannot be read"), "{fault}");
    assert_eq!(disk.files(), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_and_what_one_at_work_has_is_not() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path();
    let open = || Chain::open(Arc::new(RealDisk::default()), dir, None).unwrap();
    let names = || RealDisk::default().names(dir).unwrap().len();
    let chain = open();
    let meanwhile = long(3, |_| {
        let before = names();
        open();
        assert_eq!(names(), before, "the draft of the run at work stays");
    });
    assert_eq!(chain.keep(&about(), &meanwhile, &[], NOW).unwrap().number, 1);
    for (left, files) in [(0, &[][..]), (1, &[REPORT]), (2, &[REPORT, STATEMENT, "steps.json"])] {
        let draft = dir.join(format!(".draft-{left:016x}"));
        std::fs::create_dir(&draft).unwrap();
        for name in files {
            std::fs::write(draft.join(name), "{").unwrap();
        }
    }
    assert_eq!(names(), 4);
    open();
    assert_eq!(names(), 1, "only the bundle is left");
}
