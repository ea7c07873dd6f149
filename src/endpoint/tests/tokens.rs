//! What a token opens, where and for how long.

use super::*;

fn listing(bench: &Bench, id: &str) -> Value {
    bench.get(&format!("/snapshots/{id}/blocks?maxResults=100")).json()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn a_page_token_lasts_an_hour() {
    let bench = Bench::new();
    let id = bench.completed(None, 0..200);
    let page = listing(&bench, &id);
    let next = format!("/snapshots/{id}/blocks?maxResults=100&pageToken={}", text(&page["NextToken"]));
    bench.advance(59 * 60);
    assert_eq!(bench.get(&next).status, 200);
    bench.advance(2 * 60);
    let refused = bench.get(&next);
    refused.refused(400, "ValidationException", "INVALID_PAGE_TOKEN");
    let message = format!("The pagination token {} is invalid.", text(&page["NextToken"]));
    assert_eq!(refused.json()["Message"], json!(message));
}

#[test]
fn a_block_token_lasts_until_the_expiry_time_of_its_page() {
    let bench = Bench::new();
    let id = bench.completed(None, [3]);
    let page = listing(&bench, &id);
    let at = format!("/snapshots/{id}/blocks/3?blockToken={}", text(&page["Blocks"][0]["BlockToken"]));
    let expiry = page["ExpiryTime"].as_f64().unwrap();
    let left = expiry - bench.clock.now().0 as f64 / 1000.0;
    let (least, most) = ((6 * 24 + 6) * 3600, (7 * 24 + 8) * 3600);
    assert!((f64::from(least)..=f64::from(most)).contains(&left), "{left}");
    assert!((left / 60.0).fract().abs() < 1e-6, "whole minutes");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred thousand seconds"
    )]
    let left = left.round() as u64;
    bench.advance(left - 60);
    assert_eq!(bench.get(&at).status, 200);
    bench.advance(61);
    bench.get(&at).refused(400, "ValidationException", "INVALID_BLOCK_TOKEN");
}

#[test]
fn expiry_times_differ_from_listing_to_listing_and_old_tokens_keep_working() {
    let bench = Bench::new();
    let id = bench.completed(None, [3]);
    let pages: Vec<_> = (0..20).map(|_| listing(&bench, &id)).collect();
    let expiries: std::collections::BTreeSet<_> =
        pages.iter().map(|page| page["ExpiryTime"].to_string()).collect();
    assert!(expiries.len() > 5, "{expiries:?}");
    for page in &pages {
        let token = text(&page["Blocks"][0]["BlockToken"]);
        assert_eq!(bench.get(&format!("/snapshots/{id}/blocks/3?blockToken={token}")).status, 200);
    }
}

#[test]
fn tokens_survive_a_restart() {
    let bench = Bench::new();
    let id = bench.completed(None, 0..200);
    let page = listing(&bench, &id);
    let after = bench.restarted();
    let block = format!("/snapshots/{id}/blocks/0?blockToken={}", text(&page["Blocks"][0]["BlockToken"]));
    assert_eq!(after.get(&block).status, 200);
    let next = format!("/snapshots/{id}/blocks?maxResults=100&pageToken={}", text(&page["NextToken"]));
    assert_eq!(indexes(&after.get(&next).json())[0], 100);
}

#[test]
fn tokens_are_as_long_as_live_ones_and_begin_like_them() {
    let bench = Bench::new();
    let id = bench.completed(None, 0..200);
    let page = listing(&bench, &id);
    let (block, next) = (text(&page["Blocks"][0]["BlockToken"]), text(&page["NextToken"]));
    assert_eq!((block.len(), &block[..4], next.len(), &next[..4]), (95, "AlMB", 95, "AlMC"));
    let changed =
        bench.get(&format!("/snapshots/{id}/changedblocks?firstSnapshotId={id}&maxResults=100")).json();
    let next = text(&changed["NextToken"]);
    assert_eq!((next.len(), &next[..4]), (111, "AlMD"));
}

#[test]
fn a_token_opens_nothing_but_what_it_was_given_for() {
    let bench = Bench::new();
    let id = bench.completed(None, 0..200);
    let other = bench.completed(Some(&id), [7]);
    let page = listing(&bench, &id);
    let (block, next) = (text(&page["Blocks"][0]["BlockToken"]), text(&page["NextToken"]));
    let mut forged = block.to_owned();
    forged.replace_range(20..21, if &block[20..21] == "A" { "B" } else { "A" });
    for (index, token) in [(1, block), (500, block), (4000, block), (0, next), (0, "garbage"), (0, &forged)] {
        let refused = bench.get(&format!("/snapshots/{id}/blocks/{index}?blockToken={token}"));
        refused.refused(400, "ValidationException", "INVALID_BLOCK_TOKEN");
        assert_eq!(refused.json()["Message"], json!(format!("The block token {token} is invalid.")));
    }
    for target in [
        format!("/snapshots/{other}/blocks?pageToken={next}"),
        format!("/snapshots/{id}/changedblocks?firstSnapshotId={other}&pageToken={next}"),
        format!("/snapshots/{id}/blocks?pageToken={block}"),
        format!("/snapshots/{id}/blocks?pageToken=garbage"),
    ] {
        bench.get(&target).refused(400, "ValidationException", "INVALID_PAGE_TOKEN");
    }
}
