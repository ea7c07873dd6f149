//! `icecore cost` as it is typed: every question in every format, what is wrong in one sentence, every exit code.

use crate::cli::{Here, Outcome, one_object};
use crate::cost::{tagged, written};
use icecore::snapshot::SnapshotId;
use icecore::store::StoreWriter;
use serde_json::Value;
use std::fs;

/// A store of four snapshots: a chain of three, and one apart that a tag holds.
struct Account {
    here: Here,
    chain: [SnapshotId; 3],
    held: SnapshotId,
}

fn account() -> Account {
    let here = Here::new();
    let store = StoreWriter::open_or_create(here.path("store"), "a test").unwrap();
    let first = tagged(&store, 1, None, 0..100, &[("team", "storage")]);
    let second = written(&store, 1, Some(&first), 0..10);
    let third = written(&store, 1, Some(&second), 5..20);
    let held = tagged(&store, 1, None, 0..30, &[("legal-hold", "case 7"), ("Name", "held, \"really\"")]);
    Account { here, chain: [first, second, third], held }
}

impl Account {
    fn cost(&self, words: &[&str]) -> Outcome {
        let words: Vec<&str> = ["cost"].iter().chain(words).chain(&["--local", "store"]).copied().collect();
        self.here.run(&words)
    }

    fn json(&self, words: &[&str]) -> Value {
        self.cost(&[words, &["--format", "json"]].concat()).json()
    }

    /// The billed blocks of a snapshot.
    fn billed(report: &Value, id: &SnapshotId) -> u64 {
        let rows = report["snapshots"].as_array().unwrap();
        let row = rows.iter().find(|row| row["snapshot_id"] == id.as_str()).unwrap();
        row["attributed_bytes"].as_u64().unwrap() / 524_288
    }

    fn save(&self, name: &str, text: &str) {
        fs::write(self.here.path(name), text).unwrap();
    }
}

#[test]
fn the_bill_is_the_same_in_every_format() {
    let account = account();
    let report = account.json(&[]);
    let [first, second, third] = &account.chain;
    let billed = [first, second, third, &account.held].map(|id| Account::billed(&report, id));
    assert_eq!(billed, [100, 10, 15, 30]);
    assert_eq!(report["totals"]["stored_bytes"], 155 * 524_288);
    // 155 blocks of a 2,048th GiB at 0.05 USD, all digits.
    assert_eq!(report["totals"]["usd_month"].to_string(), "0.0037841796875");

    let csv = account.cost(&["--format", "csv"]);
    let mut lines = csv.stdout.lines();
    assert!(
        lines.next().unwrap().starts_with("snapshot_id,volume_id,start_time,tier,state,lineage,full_bytes")
    );
    assert_eq!((csv.code, lines.count()), (0, 4));
    assert!(csv.stdout.contains(r#","held, ""really""""#), "{}", csv.stdout);

    let text = account.cost(&[]);
    assert_eq!(text.code, 0, "{text:?}");
    let sum = text.stdout.lines().find(|line| line.starts_with("4 snapshots")).unwrap();
    assert!(sum.contains("0.076") && sum.contains("0.0038"), "{sum}");
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 100), "{}", text.stdout);
    assert!(text.stdout.lines().last().unwrap().starts_with("  spent"), "{}", text.stdout);
    assert!(!text.stdout.contains('\x1b'), "colour is for terminals");
}

#[test]
fn a_second_run_asks_for_no_listing_and_no_cache_asks_again() {
    let account = account();
    let listed = |words: &[&str]| {
        let report = account.json(words);
        (report["inspection"]["listings"].as_u64().unwrap(), report["requests"]["list"].as_u64().unwrap())
    };
    // A block map for each lineage, two comparisons, and one that finds the two lineages unrelated.
    assert_eq!(listed(&["--no-cache"]), (5, 5));
    assert_eq!(listed(&[]), (5, 5), "nothing was kept");
    assert_eq!(listed(&[]), (0, 0));
}

#[test]
fn a_deletion_frees_what_is_its_alone_and_a_held_one_is_blocked() {
    let account = account();
    let second = account.chain[1].as_str();
    let answer = account.json(&["--delete", second, "--bin-days", "0"])["what_if"].clone();
    assert_eq!((&answer["what"], answer["freed_bytes"].as_u64()), (&"delete".into(), Some(5 * 524_288)));
    assert_eq!(answer["moved_to"][0]["snapshot_id"], account.chain[2].as_str());
    assert_eq!((&answer["freed_now_bytes"], &answer["quality"]), (&answer["freed_bytes"], &"exact".into()));
    assert_eq!(answer["blockers"], Value::Array(Vec::new()));

    let unknown = account.json(&["--delete", second])["what_if"].clone();
    assert_eq!((&unknown["freed_now_bytes"], &unknown["freed_later_bytes"]), (&Value::Null, &Value::Null));

    let blocked = account.cost(&["--delete", account.held.as_str(), "--format", "json"]);
    assert_eq!(blocked.code, 1, "{blocked:?}");
    let answer = one_object(&blocked.stdout)["what_if"].clone();
    assert_eq!(answer["freed_bytes"], 30 * 524_288);
    assert_eq!(answer["blockers"][0]["code"], "legal_hold");
    let text = account.cost(&["--delete", account.held.as_str()]);
    assert!(text.stdout.contains("STANDS AGAINST IT") && text.code == 1, "{text:?}");
}

/// Sums of the columns of a what-if, in bytes and in dollars.
fn sums(csv: &str) -> ([i64; 2], [f64; 2]) {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    let bytes = |at: usize| rows.iter().map(|row| row[at].parse::<i64>().unwrap()).sum();
    let usd = |at: usize| rows.iter().map(|row| row[at].parse::<f64>().unwrap()).sum();
    ([bytes(2), bytes(3)], [usd(4), usd(5)])
}

#[test]
fn a_what_if_as_csv_sums_up_to_its_answer() {
    let account = account();
    let [first, second, _] = account.chain.each_ref().map(SnapshotId::as_str);
    for words in [
        vec!["--delete", second],
        vec!["--delete", first, "--delete", second],
        vec!["--archive", second],
        vec![first, "--keep", "1"],
        vec!["retention", "last=1"],
    ] {
        let answer = one_object(&account.cost(&[&words[..], &["--format", "json"]].concat()).stdout);
        let answer = &answer["what_if"];
        let csv = account.cost(&[&words[..], &["--format", "csv"]].concat()).stdout;
        let (bytes, usd) = sums(&csv);
        let archived = answer["archived_bytes"].as_i64().unwrap_or(0);
        assert_eq!(bytes[0] - bytes[1], answer["freed_bytes"].as_i64().unwrap() - archived, "{csv}");
        let saved = answer["saved_usd_month"].as_f64().unwrap();
        assert!((usd[0] - usd[1] - saved).abs() < 1e-12, "{saved}: {csv}");
    }
    let blocked = account.cost(&["--delete", account.held.as_str(), "--format", "csv"]);
    assert_eq!(blocked.code, 1);
    assert!(blocked.stdout.lines().any(|row| row.ends_with(",exact,legal_hold")), "{}", blocked.stdout);
}

#[test]
fn no_name_or_tag_becomes_a_formula_in_a_spreadsheet() {
    let here = Here::new();
    let store = StoreWriter::open_or_create(here.path("store"), "a test").unwrap();
    let names = [
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "=HYPERLINK(\"http://x\",\"y\")",
        "-12.5",
        ";=1+1",
    ];
    for (gib, name) in (1..).zip(names) {
        tagged(&store, gib, None, 0..1, &[("Name", name), ("team", name)]);
    }
    drop(store);
    for words in [&["list"][..], &["cost"], &["cost", "--group-by", "tag:team"]] {
        let outcome = here.run(&[words, &["--local", "store", "--format", "csv"]].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let mut reader = csv::Reader::from_reader(outcome.stdout.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), names.len());
        for cell in rows.iter().flatten() {
            let is_text = !cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !cell.contains(";=");
            assert!(is_text || cell.parse::<f64>().is_ok(), "{words:?}: {cell:?}");
        }
        let cells: Vec<&str> = rows.iter().flatten().collect();
        for name in names {
            // A carriage return is shown as an escape.
            let shown = name.replace('\r', "\\r");
            let kept = cells.iter().any(|cell| cell.replace('\'', "") == shown);
            assert!(kept, "{words:?}: {name:?} is there, behind its apostrophes");
        }
    }
}

#[test]
fn groups_are_a_table_of_their_own() {
    let account = account();
    let csv = account.cost(&["--group-by", "tag:team", "--format", "csv"]).stdout;
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "group_by,group,snapshots,stored_bytes,usd_month,quality");
    assert_eq!(rows[1], "tag:team,storage,1,52428800,0.00244140625,exact");
    assert!(rows[2].starts_with("tag:team,untagged,3,") && rows.len() == 3, "{csv}");
}

#[test]
fn archiving_keeping_and_retaining_answer_in_every_format() {
    let account = account();
    let third = account.chain[2].as_str();
    let answer = account.json(&["--archive", third, "--bin-days", "0"])["what_if"].clone();
    assert_eq!(
        (&answer["what"], answer["archived_bytes"].as_u64()),
        (&"archive".into(), Some(100 * 524_288))
    );

    let lineage = account.chain[0].as_str();
    for words in
        [vec!["--keep", "1", lineage], vec!["--max-gap", "7d", lineage], vec!["--save", "0.0001", lineage]]
    {
        let answer = account.json(&words)["what_if"].clone();
        assert_eq!((&answer["what"], &answer["choice"]), (&"keep".into(), &"exact".into()), "{words:?}");
        assert!(answer["kept"].as_array().unwrap().contains(&account.chain[2].as_str().into()), "{words:?}");
    }
    let answer = account.json(&[lineage, "retention", "last=1"])["what_if"].clone();
    assert_eq!(answer["snapshots"], Value::Array(Vec::new()), "of one that is shown, the last is it");
    let answer = account.json(&["retention", "last=1"])["what_if"].clone();
    assert_eq!((&answer["what"], answer["snapshots"].as_array().unwrap().len()), (&"retention".into(), 2));

    for question in [vec!["--keep", "1"], vec!["retention", "daily=7"], vec!["--archive", third]] {
        for format in ["text", "csv", "json"] {
            let outcome = account.cost(&[question.as_slice(), &["--format", format]].concat());
            assert!(outcome.code <= 1 && !outcome.stdout.is_empty(), "{question:?} {format}: {outcome:?}");
        }
    }
}

#[test]
fn candidates_and_advice_answer_in_every_format() {
    let account = account();
    let orphans = account.json(&["orphans", "--older-than", "1s"]);
    assert_eq!(
        (&orphans["schema"], orphans["orphans"].as_array().unwrap().len()),
        (&"icecore/cost-orphans/1".into(), 4)
    );
    assert!(orphans["not_asked"].as_array().unwrap().contains(&"older_launches".into()), "{orphans}");
    let advice = account.json(&["archive-advice", "--restores-a-year", "1"]);
    assert_eq!(
        (&advice["schema"], advice["threshold_thousandths"].as_u64()),
        (&"icecore/cost-archive-advice/1".into(), Some(319))
    );
    let estimate = account.json(&["--estimate", "--no-cache"]);
    assert_eq!(account.json(&["--estimate"])["list_requests"], 0, "all of it is kept");
    assert_eq!(
        (&estimate["schema"], estimate["list_requests"].as_u64()),
        (&"icecore/cost-estimate/1".into(), Some(5))
    );
    for question in [vec!["orphans"], vec!["archive-advice"]] {
        let csv = account.cost(&[question.as_slice(), &["--format", "csv"]].concat());
        assert!(csv.code == 0 && csv.stdout.starts_with("snapshot_id,"), "{csv:?}");
        assert_eq!(account.cost(&question).code, 0);
    }
    assert!(account.cost(&["--estimate"]).stdout.contains("requests"), "text");
    let csv = account.cost(&["--estimate", "--no-cache", "--format", "csv"]);
    assert!(csv.stdout.ends_with("\n4,4,0,5,7,0.00,\n"), "{}", csv.stdout);
}

#[test]
fn groups_have_a_row_for_what_has_no_tag() {
    let account = account();
    let report = account.json(&["--group-by", "tag:team"]);
    let groups: Vec<_> =
        report["groups"].as_array().unwrap().iter().map(|group| group["name"].as_str()).collect();
    assert_eq!(groups, [Some("storage"), None]);
    let text = account.cost(&["--group-by", "tag:team"]).stdout;
    assert!(text.contains("storage") && text.contains("untagged"), "{text}");
    account.cost(&["--group-by", "colour"]).refused_by_clap("tag:KEY, volume, account or region");
}

#[test]
fn a_month_above_the_limit_is_a_finding() {
    let account = account();
    assert_eq!(account.cost(&["--fail-over", "0.003"]).code, 1);
    assert_eq!(account.cost(&["--fail-over", "0.004"]).code, 0);
    // What could not be listed may be more than that.
    let stopped = account.cost(&["--fail-over", "1000", "--no-cache", "--max-requests", "2"]);
    assert_eq!(stopped.code, 1, "{stopped:?}");
}

#[test]
fn a_stopped_run_ends_with_3_and_the_same_command_goes_on() {
    let account = account();
    let words = ["--max-requests", "2", "--format", "json"];
    let first = account.cost(&words);
    assert_eq!(first.code, 3, "{first:?}");
    let report = one_object(&first.stdout);
    assert_eq!((&report["state"], &report["totals"]["quality"]), (&"incomplete".into(), &"unknown".into()));
    assert!(report["totals"]["unknown_snapshots"].as_u64() > Some(0), "{report}");
    let ends = (0..5).map(|_| account.cost(&words).code).find(|code| *code != 3);
    assert_eq!(ends, Some(0), "two listings a run, of five");
    account.cost(&["--max-requests", "1"]).refused_by_clap("--max-requests");

    let late = account.cost(&["--no-cache", "--deadline", "0s"]);
    assert_eq!(late.code, 2, "no time at all is no deadline: {late:?}");
}

#[test]
fn what_changed_since_a_report_is_told_with_its_reason() {
    let account = account();
    let before = account.cost(&["--format", "json"]).stdout;
    account.save("before.json", &before);
    let same = account.json(&["compare", "before.json"]);
    assert_eq!(same["differences"], Value::Array(Vec::new()));
    {
        let store = StoreWriter::open_or_create(account.here.path("store"), "a test").unwrap();
        let _ = written(&store, 1, Some(&account.chain[2]), 90..92);
        icecore::shelf::ShelfWriter::delete(&store, &account.chain[1]).unwrap();
        let _ = written(&store, 1, None, 0..7);
    }
    let report = account.json(&["compare", "before.json"]);
    let why: Vec<_> = report["why"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(why, ["churn", "deleted", "moved", "new"]);
    for format in ["text", "csv"] {
        assert_eq!(account.cost(&["compare", "before.json", "--format", format]).code, 0);
    }
    // Of a part only like is compared with like, and what is not shown is not gone.
    let part = ["--tag", "team=storage"];
    account
        .cost(&[&part[..], &["compare", "before.json"]].concat())
        .refused(2, &["all snapshots", "--tag team=storage"]);
    account.save("part.json", &account.cost(&[&part[..], &["--format", "json"]].concat()).stdout);
    let same = account.json(&[&part[..], &["compare", "part.json"]].concat());
    assert_eq!(same["differences"], Value::Array(Vec::new()), "{same}");
    account
        .cost(&["compare", "before.json", "--region", "eu-west-2"])
        .refused(2, &["before.json", "us-east-1", "eu-west-2"]);
}

#[test]
fn a_bill_of_either_kind_is_held_against_the_model() {
    let account = account();
    let [first, second, third] = &account.chain;
    // A day of September in GB-months: GiB, divided by the days of the month.
    let days = [(first, 100), (second, 10), (third, 10), (&account.held, 30)];
    let amount = |blocks: u32| f64::from(blocks) / 2048.0 / 30.0;
    let mut cur = "lineItem/ResourceId,lineItem/UsageType,lineItem/UsageStartDate,lineItem/UsageEndDate,lineItem/UsageAmount\n".to_owned();
    let mut focus = "ResourceId,x_UsageType,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity\n".to_owned();
    for (id, blocks) in days {
        let name = format!("arn:aws:ec2:us-east-1:123456789012:snapshot/{id},USE1-EBS:SnapshotUsage");
        let line = format!("2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,{:.15}\n", amount(blocks));
        cur += &format!("{name},{line}");
        focus += &format!("{name},{line}");
    }
    // Of another Region, of another account, and gone.
    for (home, name) in [
        ("eu-west-1:123456789012", "0e"),
        ("us-east-1:210987654321", "0f"),
        ("us-east-1:123456789012", "0dead"),
    ] {
        let line = "EBS:SnapshotUsage,2026-09-13T00:00:00Z,2026-09-14T00:00:00Z,1\n";
        cur += &format!("arn:aws:ec2:{home}:snapshot/snap-{name},{line}");
    }
    account.save("cur.csv", &cur);
    account.save("focus.csv", &focus);
    for (file, left_out, gone) in [("cur.csv", 2, 1), ("focus.csv", 0, 0)] {
        let report = account.json(&["reconcile", file]);
        let rows = report["snapshots"].as_array().unwrap().len();
        assert_eq!((report["left_out"].as_u64(), rows), (Some(left_out), 4 + gone), "{report}");
        let class = |id: &SnapshotId| {
            let rows = report["snapshots"].as_array().unwrap();
            let row = rows.iter().find(|row| row["snapshot_id"] == id.as_str()).unwrap();
            row["class"].as_str().unwrap().to_owned()
        };
        assert_eq!([first, second, &account.held].map(class), ["agrees", "agrees", "agrees"], "{file}");
        assert_eq!(class(third), "unexplained", "five blocks less than the model has");
        assert_eq!(report["factor_thousandths"], 968);
        let part = account.json(&["--tag", "team=storage", "reconcile", file]);
        assert_eq!(
            part["snapshots"].as_array().unwrap().len(),
            1 + gone,
            "what is not shown is not gone: {part}"
        );
    }
    for format in ["text", "csv"] {
        assert_eq!(account.cost(&["reconcile", "cur.csv", "--format", format]).code, 0);
    }
}

#[test]
fn wrong_input_is_refused_in_one_sentence() {
    let account = account();
    account.save("half.prices", "as-of 2026-01-01\nus-east-1 standard-gb-month 0.05\n");
    account.save("no.prices", "hello\n");
    account.save("no.csv", "a,b\n1,2\n");
    account.save("list.json", r#"{"schema":"icecore/list/1"}"#);
    for (words, said) in [
        (vec!["--tag", "team=nobody"], "no snapshot of ours"),
        (vec!["--volume", "vol-0123"], "no snapshot of ours"),
        (vec!["snap-0123456789abcdef0"], "snap-0123456789abcdef0"),
        (vec!["--delete", "snap-0123456789abcdef0"], "snap-0123456789abcdef0"),
        (vec!["--estimate", "--tag", "team=nobody"], "no snapshot of ours"),
        (vec!["--prices", "half.prices"], "half.prices: no archive-gb-month price"),
        (vec!["--prices", "no.prices"], "line 1"),
        (vec!["--prices", "nowhere.prices"], "nowhere.prices"),
        (vec!["--region", "mars-1"], "--prices FILE"),
        (vec!["compare", "list.json"], "icecore/list/1"),
        (vec!["compare", "no.csv"], "no report of icecore cost"),
        (vec!["compare", "nowhere.json"], "nowhere.json"),
        (vec!["reconcile", "no.csv"], "ResourceId"),
        (vec!["--save", "0.001"], "several are shown"),
        (vec!["--keep", "2", "orphans"], "--keep asks one thing and orphans another"),
        (vec!["--delete", "snap-0a", "retention", "last=1"], "--delete"),
        (vec!["--fail-over", "1", "archive-advice"], "--fail-over"),
        (vec!["--estimate", "compare", "list.json"], "--estimate"),
    ] {
        account.cost(&words).refused(2, &[said]);
    }
    for (words, said) in [
        (vec!["retention", "fortnightly=2"], "not a retention policy"),
        (vec!["--keep", "0"], "--keep"),
        (vec!["--delete", "snap-0a", "--archive", "snap-0b"], "cannot be used with"),
        (vec!["--fail-over", "much"], "not an amount in USD"),
        (vec!["--estimate", "--keep", "1"], "cannot be used with"),
        (vec!["--estimate", "--group-by", "volume"], "cannot be used with"),
    ] {
        account.cost(&words).refused_by_clap(said);
    }
}
