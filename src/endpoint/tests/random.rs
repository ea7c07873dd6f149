//! Requests and histories from a seed, against what must hold for all of them.

use super::*;
use std::collections::BTreeMap;

/// How many seeds: few by default, `ICECORE_SEEDS` for a full run.
#[expect(clippy::disallowed_methods, reason = "tests take their size from the environment")]
fn seeds() -> impl Iterator<Item = fastrand::Rng> {
    let count = std::env::var("ICECORE_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_u64);
    (0..count).map(fastrand::Rng::with_seed)
}

/// Which write of each block a snapshot has: the naive model of a lineage.
type Layers = BTreeMap<u32, usize>;

/// Trees of snapshots of which some are deleted again: their listings in pages of any size, from any start, in any
/// pairing, are what the model says.
#[test]
fn listings_are_the_same_whatever_the_page_size() {
    for mut rng in seeds() {
        let bench = Bench::new();
        let mut made: Vec<(String, Layers)> = Vec::new();
        for write in 0..6 {
            let parent = (!made.is_empty()).then(|| rng.usize(..made.len()));
            let blocks: Vec<u32> = (0..2048).filter(|_| rng.u8(..) < 40).collect();
            let id = bench.completed(parent.map(|at| made[at].0.as_str()), blocks.iter().copied());
            let mut layers = parent.map(|at| made[at].1.clone()).unwrap_or_default();
            layers.extend(blocks.into_iter().map(|index| (index, write)));
            made.push((id, layers));
        }
        for _ in 0..2 {
            let (gone, _) = made.swap_remove(rng.usize(..made.len()));
            bench.ec2(&format!("Action=DeleteSnapshot&SnapshotId={gone}"));
        }
        for _ in 0..6 {
            let ((first, a), (second, b)) = (&made[rng.usize(..made.len())], &made[rng.usize(..made.len())]);
            let (size, start) = (rng.u32(100..700), rng.u32(..2048));
            let query = format!("maxResults={size}&startingBlockIndex={start}");
            let listed = bench.pages(&format!("/snapshots/{first}/blocks?{query}"));
            let expected: Vec<u64> = a.range(start..).map(|(index, _)| u64::from(*index)).collect();
            assert_eq!(listed.iter().flat_map(indexes).collect::<Vec<_>>(), expected, "{rng:?}");

            let target = format!("/snapshots/{second}/changedblocks?firstSnapshotId={first}&{query}");
            let differs = |index: &u32| a.get(index) != b.get(index);
            let expected: Vec<u64> = (start..2048).filter(differs).map(u64::from).collect();
            let changed = bench.pages(&target);
            assert_eq!(changed.iter().flat_map(indexes).collect::<Vec<_>>(), expected, "{rng:?}");
        }
    }
}

/// Whatever is asked, the answer is a refusal in good form: never a failure of the server's own.
#[test]
fn no_request_makes_the_service_fail() {
    let bench = Bench::new();
    let id = bench.completed(None, [1]);
    let pending = bench.started(None);
    for mut rng in seeds() {
        for _ in 0..100 {
            let mut garble = Garble { rng: &mut rng, ids: [&id, &pending] };
            let answer = garble.send(&bench);
            assert!((200..500).contains(&answer.status), "{}", answer.text());
            assert!(!answer.header("x-amzn-requestid").is_empty());
        }
    }
    let reached = bench.service.counts();
    assert_eq!(reached.iter().count(), 10, "only {reached:?} got as far as an action");
}

/// Makes requests that are nearly right.
struct Garble<'a> {
    rng: &'a mut fastrand::Rng,
    ids: [&'a str; 2],
}

impl Garble<'_> {
    fn send(&mut self, bench: &Bench) -> Answer {
        if self.rng.bool() { self.ebs(bench) } else { self.query(bench) }
    }

    fn ebs(&mut self, bench: &Bench) -> Answer {
        let (a, b) = (self.word(), self.word());
        let shapes = [
            format!("/snapshots/{a}/blocks"),
            format!("/snapshots/{a}/changedblocks"),
            format!("/snapshots/{a}/blocks/{b}"),
            format!("/snapshots/completion/{a}"),
            "/snapshots".to_owned(),
            format!("/{a}/{b}"),
        ];
        let names = ["maxResults", "pageToken", "blockToken", "startingBlockIndex", "firstSnapshotId"];
        let target = format!("{}?{}", self.one(&shapes), self.pairs(&names));
        let mut request = Request::builder().method(*self.one(&["GET", "PUT", "POST"])).uri(target);
        for name in ["data-length", "checksum", "checksum-algorithm", "changedblockscount", "progress"] {
            let word = self.word();
            if self.rng.bool() {
                request = request.header(format!("x-amz-{name}"), word);
            }
        }
        let members = ["VolumeSize", "ParentSnapshotId", "Tags", "Timeout", "ClientToken", "Encrypted"];
        let (one, other) = (self.json(&members), self.json(&members));
        bench.send("ebs", request, format!("{{{one},{other}}}"))
    }

    fn query(&mut self, bench: &Bench) -> Answer {
        let (service, actions): (_, &[&str]) = match self.rng.bool() {
            true => ("ec2", &["DescribeSnapshots", "CreateTags", "DeleteSnapshot", "RunInstances"]),
            false => ("sts", &["GetCallerIdentity", "AssumeRole"]),
        };
        let names = [
            "SnapshotId.1",
            "SnapshotId",
            "Filter.1.Name",
            "Filter.1.Value.1",
            "Tag.1.Key",
            "Tag.1.Value",
            "ResourceId.1",
            "MaxResults",
            "NextToken",
            "Owner.1",
            "DryRun",
        ];
        let form = format!("Action={}&{}", self.one(actions), self.pairs(&names));
        let kind = "application/x-www-form-urlencoded";
        bench.send(service, Request::post("/").header("content-type", kind), form)
    }

    fn json(&mut self, members: &[&str]) -> String {
        let values =
            ["1", "-1", "1e99", "null", "true", "[]", "[{}]", "\"snap-0\"", "\"\\u0000\"", "\"", "{"];
        format!("\"{}\":{}", self.one(members), self.one(&values))
    }

    fn pairs(&mut self, names: &[&str]) -> String {
        let pairs: Vec<_> =
            (0..self.rng.usize(..4)).map(|_| format!("{}={}", self.one(names), self.word())).collect();
        pairs.join("&")
    }

    fn word(&mut self) -> String {
        let [id, pending] = self.ids;
        let words = [
            id,
            pending,
            "snap-0fff",
            "0",
            "1",
            "100",
            "-1",
            "99999999999999",
            "AAAB",
            "SHA256",
            "%00",
            "%ff",
            "%",
            "status",
            "tag:",
            "tag:*",
            "*",
            "true",
            "self",
            "",
        ];
        (*self.one(&words)).to_owned()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.rng.usize(..of.len())]
    }
}
