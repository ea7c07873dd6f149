//! Where fuzzers come in: bytes that nobody vouches for, and a function for each place that reads such.
//!
//! Nothing comes out but the absence of a panic. `fuzz/` drives these functions with libFuzzer; the tests below drive
//! them with mutations of the same corpus, so that every run of the tests claims a little of it.

/// Reads bytes, and must not panic.
pub type Target = fn(&[u8]);

/// The targets, by the names they have under `fuzz/fuzz_targets` and `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 7] = [
    ("checkpoint", crate::pipeline::fuzz_checkpoint),
    ("ec2_query", crate::endpoint::fuzz::query),
    ("fault_plan", crate::endpoint::fuzz::plan),
    ("request", crate::endpoint::fuzz::request),
    ("sidecar", crate::device::fuzz_sidecar),
    ("signatures", crate::device::fuzz_layout),
    ("store", crate::store::fuzz::reader),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Inputs for each target: few by default, ICECORE_SEEDS times as many as asked.
    #[expect(clippy::disallowed_methods, reason = "how much to test is the caller's")]
    fn inputs() -> u64 {
        20 * std::env::var("ICECORE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20)
    }

    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// Bytes flipped, cut, doubled, set to what is often an edge, or joined with another input's.
    fn mutated(chance: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = chance.choice(corpus).cloned().unwrap_or_default();
        for _ in 0..chance.usize(..6) {
            let at = chance.usize(..=bytes.len());
            match chance.u8(..6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << chance.u8(..8),
                1 => bytes.truncate(at),
                2 => bytes.insert(at, *chance.choice(b"\0\x01\x7f\x80\xff=&%-9 \n\"{}").unwrap()),
                3 if at + 4 <= bytes.len() => bytes[at..at + 4].fill(0xff),
                4 => bytes.splice(at..at, bytes.clone().into_iter().take(40)).for_each(drop),
                _ => {
                    let other = chance.choice(corpus).cloned().unwrap_or_default();
                    bytes.splice(at.., other.into_iter().skip(at)).for_each(drop);
                }
            }
        }
        bytes
    }

    #[test]
    fn no_bytes_make_a_reader_panic() {
        for (name, target) in TARGETS {
            let corpus = corpus(name);
            assert!(corpus.len() > 1, "{name} has a corpus");
            corpus.iter().for_each(|input| target(input));
            let mut chance = fastrand::Rng::with_seed(1);
            for n in 0..inputs() {
                let input = mutated(&mut chance, &corpus);
                let ended = std::panic::catch_unwind(|| target(&input));
                assert!(ended.is_ok(), "{name}, input {n}: {}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn every_target_has_a_file_of_its_name() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
        let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let names: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, TARGETS.map(|(name, _)| name));
    }
}
