//! `fixtures/evidence`: bundles as earlier programs kept them, each in one piece. Never made anew.

use super::*;

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence/v1")
}

fn key() -> Key {
    let disk = MemoryDisk::with_dir(Path::new("/"));
    disk.write(Path::new("/key"), PEM.as_bytes(), Access::Owner).unwrap();
    Key::read(&disk, Path::new("/key")).unwrap()
}

/// Writes it in pieces of any length, none and more than a buffer's among them.
fn in_pieces(bytes: &[u8], seed: u64) -> impl Fn(&mut dyn Write) -> io::Result<()> {
    move |out| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = rng.u32(..22);
            let (piece, more) = rest.split_at(rng.usize(..1 << most).min(rest.len()));
            out.write_all(piece)?;
            rest = more;
        }
        Ok(())
    }
}

fn same_files(disk: &dyn Disk, one: &Path, other: &Path) {
    let names = |dir: &Path| disk.names(dir).unwrap().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(names(one), names(other));
    for name in names(one) {
        let [one, other] = [one, other].map(|dir| disk.read(&dir.join(&name), 1 << 26).unwrap());
        assert!(one == other, "{name} is another");
    }
}

#[test]
fn frozen_bundles_are_whole_and_kept_again_in_pieces_they_are_the_same_bytes() {
    let disk = Arc::new(RealDisk::default());
    let trust = Trust { public_keys: vec![key().public()], ..Trust::default() };
    let examined = examine(&*disk, &frozen(), &trust, NOW).unwrap();
    assert_eq!((examined.findings, examined.bundles.len()), (vec![], 4));
    let told = |bundle: &Bundle| (bundle.statement.state.clone(), bundle.statement.verified.clone());
    let expected =
        [("pass", None), ("warm", Some("fail")), ("incomplete", Some("incomplete")), ("complete", None)]
            .map(|(state, verified)| (Some(state.to_owned()), verified.map(str::to_owned)));
    assert!(examined.bundles.iter().map(told).eq(expected));

    let temporary = tempfile::tempdir().unwrap();
    let chain = Chain::open(disk.clone(), temporary.path(), Some(key())).unwrap();
    for Bundle { statement, .. } in &examined.bundles {
        let read = |name: &str| disk.read(&bundle(&frozen(), statement.number).join(name), 1 << 20).unwrap();
        let contents: Vec<_> = statement.files.iter().map(|file| (&*file.name, read(&file.name))).collect();
        let writing: Vec<_> = contents.iter().map(|(name, bytes)| (*name, in_pieces(bytes, 0))).collect();
        let files = writing.iter().map(|(name, content)| Attachment { name, content });
        let (report, others): (Vec<_>, Vec<_>) = files.partition(|file| file.name == REPORT);
        let kept =
            chain.keep(&statement.about, report[0].content, &others, statement.kept_at.unwrap()).unwrap();
        same_files(&*disk, &kept.path, &bundle(&frozen(), statement.number));
    }
}

#[test]
fn a_bundle_is_the_same_bytes_in_whatever_pieces_its_files_are_written() {
    let mut rng = fastrand::Rng::with_seed(7);
    for seed in 0..12 {
        let mut long = report(seed);
        // No JSON: such a report says nothing of itself, and is kept.
        long.extend((0..rng.usize(..5 << 20)).map(|_| rng.u8(..)));
        let keep = |content: Content<'_>| {
            let disk = disk();
            let chain = Chain::open(Arc::new(disk.clone()), dir(), Some(key())).unwrap();
            let other = Attachment { name: "other", content };
            (chain.keep(&about(), content, &[other], NOW).unwrap().hash, disk)
        };
        let (whole, on) = keep(&text(&long));
        assert_eq!(keep(&in_pieces(&long, seed)).0, whole, "seed {seed}");
        assert_eq!(examine(&on, dir(), &Trust::default(), NOW).unwrap().findings, []);
        assert!(on.read(&bundle(dir(), 1).join(REPORT), 1 << 26).unwrap() == long);
    }
}
