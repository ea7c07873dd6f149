//! `icecore cost` as people meet it: whole commands, against an account whose ids and times stand still.

use crate::cli::{Here, Outcome, golden};
use icecore::block::{BlockIndex, BlockSize, Digest};
use icecore::endpoint::{Config, Running, Shelves, start};
use icecore::estate::{Image, ImageState, Lock, LockState, Shares, TemplateVersion};
use icecore::shelf::memory::MemoryShelf;
use icecore::shelf::{Content, Grant, ShelfWriter};
use icecore::snapshot::{NewSnapshot, SnapshotId, Tags, UnixMillis};
use std::sync::Arc;

const DAY: i64 = 86_400_000;
/// 2026-08-01, early in the morning.
const FIRST: UnixMillis = UnixMillis(1_785_549_600_000);

/// An account with a database that is backed up daily, a web server of which two images were made, one of them
/// continued on another volume, and a snapshot that lawyers want.
struct Account {
    here: Here,
    shelf: Arc<MemoryShelf>,
    endpoint: Running,
    daily: Vec<SnapshotId>,
    web: Vec<SnapshotId>,
}

struct New<'a> {
    day: i64,
    parent: Option<&'a SnapshotId>,
    description: &'a str,
    tags: &'a [(&'a str, &'a str)],
}

fn made(shelf: &MemoryShelf, new: &New<'_>, blocks: impl IntoIterator<Item = u32>) -> SnapshotId {
    let bytes: bytes::Bytes = vec![7; BlockSize::EBS.buffer_len()].into();
    let content = Content { digest: Digest::of(&bytes), bytes };
    let parent = new.parent.map(ToString::to_string);
    let tags = new.tags.iter().copied().chain(parent.as_deref().map(|parent| ("icecore:parent", parent)));
    let asked = NewSnapshot {
        volume_size: 8.try_into().unwrap(),
        parent: new.parent.cloned(),
        description: Some(new.description.to_owned()).filter(|text| !text.is_empty()),
        tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Tags>(),
        client_token: None,
        encrypted: None,
        kms_key_id: None,
        timeout_minutes: None,
    };
    let grant = Grant {
        asked,
        owner_id: "123456789012".into(),
        encrypted: false,
        kms_key_id: None,
        now: FIRST.plus_millis(new.day * DAY),
    };
    let id = shelf.start(&grant).unwrap().info.id;
    for index in blocks {
        shelf.put(&id, BlockIndex::new(index), &content).unwrap();
    }
    shelf.complete(&id).unwrap();
    id
}

async fn account() -> Account {
    let shelf = Arc::new(MemoryShelf::new());
    let db = [("team", "storage"), ("Name", "db")];
    let mut daily: Vec<SnapshotId> = Vec::new();
    for day in 0..6_u32 {
        let new = New { day: day.into(), parent: daily.last(), description: "", tags: &db };
        // Some of its data, and a journal that every day writes to.
        let today = if day == 0 { 0..9_000 } else { day * 700..day * 700 + 410 };
        let journal = if day == 0 { 0..0 } else { 9_000..9_120 };
        daily.push(made(&shelf, &new, today.chain(journal)));
    }
    let web = [("team", "web"), ("Name", "web")];
    let told = "Created by CreateImage(i-0abc) for ami-0aaaaaaaaaaaaaaa1";
    let base = made(&shelf, &New { day: 6, parent: None, description: told, tags: &web }, 0..3_000);
    let told = "Created by CreateImage(i-0abc) for ami-0ddddddddddddddd4";
    let gone = New { day: 7, parent: Some(&base), description: told, tags: &web };
    let gone = made(&shelf, &gone, 100..400);
    let branch = New { day: 8, parent: Some(&base), description: "", tags: &[("Name", "web, \"blue\"")] };
    let branch = made(&shelf, &branch, (200..260).chain(4_000..4_500));
    let held = New { day: 9, parent: None, description: "", tags: &[("legal-hold", "case 7")] };
    let held = made(&shelf, &held, 0..1_024);
    let web = vec![base, gone, branch, held];
    let endpoint = start(Config::default(), Shelves::writable(shelf.clone())).await.unwrap();
    let image = Image {
        id: "ami-0aaaaaaaaaaaaaaa1".parse().unwrap(),
        name: "web 1".into(),
        state: ImageState::Available,
        created: None,
        deprecated_from: None,
        is_public: false,
        snapshots: vec![web[0].clone()],
        tags: Tags::new(),
    };
    let template = TemplateVersion {
        template: "lt-0123456789abcdef0".parse().unwrap(),
        name: "web".into(),
        version: 1,
        is_default: true,
        made: None,
        image: Some("ami-0ddddddddddddddd4".into()),
        snapshots: Vec::new(),
    };
    let lock = Lock { snapshot: daily[1].clone(), state: LockState::Governance, expires: None };
    let shares = Shares { is_public: false, accounts: vec!["210987654321".into()] };
    let edited = endpoint.edit("us-east-1", |held| {
        (held.images, held.templates, held.locks) = (vec![image], vec![template], vec![lock]);
        held.shares = [(daily[2].clone(), shares)].into();
    });
    edited.unwrap();
    Account { here: Here::new(), shelf, endpoint, daily, web }
}

impl Account {
    async fn cost(&self, words: &[&str]) -> Outcome {
        let mut command = self.here.command(&[&["cost"], words].concat());
        command.args(["--endpoint-url", &self.endpoint.url(), "--region", "us-east-1"]);
        command.env("AWS_ACCESS_KEY_ID", "AK").env("AWS_SECRET_ACCESS_KEY", "secret");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Outcome::of(&output)
    }

    /// What a command says to people, and how it ends.
    async fn says(&self, name: &str, words: &[&str], code: i32) {
        let said = self.cost(words).await;
        assert_eq!(said.code, code, "{said:?}");
        golden(&format!("cost-command-{name}.text"), &still(&said.stdout));
    }
}

/// The text with the times of this run and this machine taken out.
fn still(text: &str) -> String {
    let line = |line: &str| {
        let spent = line.trim_start().starts_with("spent");
        let parts = line.split(' ').map(|word| match word.strip_suffix(['s', ';', ',']) {
            Some(_) if spent && word.ends_with("s;") && word.starts_with(|c: char| c.is_ascii_digit()) => {
                "0.1s;"
            }
            _ if line.starts_with("Since ") && word.ends_with("Z:") => "2026-09-13T04:00:00Z:",
            _ => word,
        });
        parts.collect::<Vec<_>>().join(" ") + "\n"
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bill_by_snapshot_and_by_team() {
    let account = account().await;
    account.says("estimate", &["--estimate"], 0).await;
    account.says("bill", &[], 0).await;
    account.says("teams", &["--group-by", "tag:team"], 0).await;
    account.says("one", &[account.daily[3].as_str()], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_and_archiving_what_may_go_and_what_may_not() {
    let account = account().await;
    account.says("delete", &["--delete", account.daily[3].as_str(), "--bin-days", "0"], 0).await;
    let ids = [&account.daily[1], &account.daily[2], &account.web[0], &account.web[1], &account.web[3]];
    let words: Vec<&str> = ids.iter().flat_map(|id| ["--delete", id.as_str()]).collect();
    account.says("delete-blocked", &words, 1).await;
    account.says("archive", &["--archive", account.daily[4].as_str()], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_what_costs_least_and_what_a_policy_keeps() {
    let account = account().await;
    account.says("keep", &[account.daily[0].as_str(), "--keep", "3", "--bin-days", "0"], 0).await;
    account.says("retention", &["retention", "last=2,weekly=1", "--bin-days", "0"], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_and_advice() {
    let account = account().await;
    account.says("orphans", &["orphans"], 0).await;
    account.says("advice", &["archive-advice", "--restores-a-year", "1"], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_and_what_aws_billed() {
    let account = account().await;
    let before = account.cost(&["--format", "json"]).await;
    std::fs::write(account.here.path("august.json"), before.stdout).unwrap();
    let bill = account.cost(&["--format", "csv"]).await.stdout;
    let mut cur = "lineItem/ResourceId,lineItem/UsageType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/UsageAmount\n".to_owned();
    for (n, row) in bill.lines().skip(1).enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        // The last but one is billed less, as if a snapshot that is gone had held the rest; the last not at all.
        let bytes: f64 = cells[7].parse::<f64>().unwrap() * if n == 8 { 0.5 } else { 1.0 };
        if n == 9 {
            continue;
        }
        let amount = bytes / f64::from(1 << 30) / 31.0;
        cur += &format!(
            "arn:aws:ec2:us-east-1:123456789012:snapshot/{},EBS:SnapshotUsage,2026-08-12T00:00:00Z,2026-08-13T00:00:00Z,{amount:.12}\n",
            cells[0]
        );
    }
    std::fs::write(account.here.path("cur.csv"), cur).unwrap();
    account.says("reconcile", &["reconcile", "cur.csv"], 0).await;

    account.shelf.delete(&account.daily[3]).unwrap();
    let new = New { day: 10, parent: account.daily.last(), description: "", tags: &[("team", "storage")] };
    let _ = made(&account.shelf, &new, 500..1_200);
    let _ = made(&account.shelf, &New { day: 10, parent: None, description: "", tags: &[] }, 0..200);
    account.says("compare", &["compare", "august.json"], 0).await;
}
