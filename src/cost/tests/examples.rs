//! AWS's worked examples, with AWS's own figures. A GB of theirs is a GiB, 2,048 blocks.

use super::world::{World, compare, map};
use crate::block::ByteSize;
use crate::cost::archive::{Archiving, Use, early_deletion};
use crate::cost::{Amount, Holdings, PriceTable, Prices, Survey, Versions};

/// Sizes in GiB become as many blocks: the proportions are what counts.
fn surveyed(world: &World) -> Holdings {
    let seen = world.seen();
    let all = seen.iter().map(|taken| taken.kin.clone()).collect();
    Survey::all(all, 8).run(|first, second| compare(&seen[first], &seen[second]), |at| map(&seen[at]))
}

#[track_caller]
fn only(world: &World) -> Versions {
    let holdings = surveyed(world);
    assert_eq!(holdings.lineages.len(), 1);
    holdings.lineages.into_iter().next().unwrap().versions
}

fn gib(gib: u64) -> ByteSize {
    ByteSize::from_bytes(gib << 30)
}

fn virginia() -> Prices {
    PriceTable::listed().region("us-east-1").unwrap()
}

/// One volume of 10 GiB of data.
fn ten() -> (World, usize) {
    let mut world = World::default();
    let volume = world.blank_volume();
    world.write(volume, 0, 10);
    world.snapshot(volume);
    (world, volume)
}

/// EBS user guide, "how_snapshots_work": 50 of 200 GiB written; then 20 changed and 10 added.
#[test]
fn a_first_snapshot_is_what_was_written_and_the_next_what_changed() {
    let mut world = World::default();
    let volume = world.blank_volume();
    world.write(volume, 0, 50);
    world.snapshot(volume);
    world.write(volume, 0, 20);
    world.write(volume, 50, 10);
    world.snapshot(volume);
    let versions = only(&world);
    assert_eq!((versions.attributed(), versions.total()), (vec![50, 30], 80));
}

/// The same page: A 10; B changes 4; C adds 2. 16 GiB in all, and C is 12 in full.
#[test]
fn three_snapshots_of_one_volume() {
    let (mut world, volume) = ten();
    world.write(volume, 0, 4);
    world.snapshot(volume);
    world.write(volume, 10, 2);
    world.snapshot(volume);
    let versions = only(&world);
    assert_eq!((versions.attributed(), versions.total(), versions.full(2)), (vec![10, 4, 2], 16, 12));
}

/// The same page: a volume made from A adds 4; its snapshot B is 4, 14 in all. With another key it is 14, 24 in all.
#[test]
fn a_lineage_crosses_volumes_but_not_keys() {
    let (mut world, _) = ten();
    let second = world.volume_from(0);
    world.write(second, 10, 4);
    world.snapshot(second);
    let versions = only(&world);
    assert_eq!((versions.attributed(), versions.total()), (vec![10, 4], 14));

    let seen = world.seen();
    let mut all: Vec<_> = seen.iter().map(|taken| taken.kin.clone()).collect();
    all[1].realm = "another key".into();
    let holdings = Survey::all(all, 8).run(|_, _| unreachable!("they share nothing"), |at| map(&seen[at]));
    let totals: Vec<_> = holdings.lineages.iter().flat_map(|lineage| lineage.versions.attributed()).collect();
    assert_eq!(totals, [10, 14]);
}

/// EBS user guide, "ebs-deleting-snapshot": A 10, B changes 4; deleting A leaves 6 retained and 4: 10.
#[test]
fn deleting_the_first_moves_what_the_second_needs() {
    let (mut world, volume) = ten();
    world.write(volume, 0, 4);
    world.snapshot(volume);
    let versions = only(&world);
    assert_eq!((versions.total(), versions.freed(&[0]), versions.stored(&[1])), (14, 4, 10));
    assert_eq!(versions.moved(&[0]), [(1, 6)].into());
    world.delete(0);
    let versions = only(&world);
    assert_eq!((versions.attributed(), versions.total()), (vec![10], 10));
}

/// EBS user guide, "archiving-guidelines": A 10, B changes 4, C adds 4. Archiving B frees nothing and adds 10;
/// archiving C frees 4 and adds 14.
#[test]
fn archiving_frees_what_is_alone_and_adds_all() {
    let (mut world, volume) = ten();
    world.write(volume, 0, 4);
    world.snapshot(volume);
    world.write(volume, 10, 4);
    world.snapshot(volume);
    let versions = only(&world);
    assert_eq!((versions.total(), versions.unique()), (18, vec![4, 0, 4]));
    assert_eq!((versions.full(1), versions.full(2)), (10, 14));
    let archiving = |at: usize| {
        Archiving::of(gib(versions.unique()[at]), gib(versions.full(at)), Use::default(), &virginia())
    };
    assert_eq!(archiving(1).pays(), Some(false), "the cost rises");
    assert_eq!(archiving(2).gain().unwrap().exact(), "0.025", "0.20 less, 0.175 more");
}

/// The same page: blocks of X that nobody else refers to are those in both changed(P, X) and changed(X, N); 9,950
/// of them are 4.85 GiB.
#[test]
fn what_is_alone_changed_before_and_after() {
    let (mut world, volume) = ten();
    world.write(volume, 0, 9_950);
    world.snapshot(volume);
    world.write(volume, 0, 9_950);
    world.snapshot(volume);
    let unique = only(&world).unique()[1];
    assert_eq!(unique, 9_950);
    assert_eq!(unique * 524_288 * 100 / (1 << 30), 485);
}

/// EBS user guide, "snapshot-archive-pricing": 100 GiB are 1.25 USD a month, a restore 3; deleted while 40 of 100
/// GiB had moved, 1.50; after 40 days, 50 more are paid.
#[test]
fn archived_snapshots_cost_what_aws_says() {
    let prices = virginia();
    assert_eq!(Amount::of(gib(100), prices.archive).exact(), "1.25");
    assert_eq!(Amount::of(gib(100), prices.retrieval.unwrap()).exact(), "3.00");
    assert_eq!(early_deletion(gib(40), 0, &prices).exact(), "1.50");
    let fifty_days = Amount::of(gib(100), prices.archive).times(50, 30);
    assert_eq!(early_deletion(gib(100), 40 * 24, &prices), fifty_days);
    assert_eq!(early_deletion(gib(100), 91 * 24, &prices), Amount::ZERO);
}

/// EBS user guide, "ebs-fast-snapshot-restore": one snapshot in one zone for 720 h is 540 USD; two in three, 3,240.
#[test]
fn fast_restore_costs_what_aws_says() {
    let hour = virginia().fast_restore.unwrap();
    assert_eq!(hour.times(720).exact(), "540.00");
    assert_eq!(hour.times(720 * 2 * 3).exact(), "3240.00");
}

/// AWS sample "Snapshot Tiering Evaluator": 21,396 blocks alone of 100 GiB, in Sydney for 90 days: 1.72 USD to stay,
/// 4.12 to archive.
#[test]
fn the_tiering_evaluator_agrees() {
    let sydney = PriceTable::listed().region("ap-southeast-2").unwrap();
    let alone = ByteSize::from_bytes(21_396 * 524_288);
    let archiving = Archiving::of(alone, gib(100), Use::default(), &sydney);
    assert_eq!(archiving.saved.times(90, 30).rounded(2), "1.72");
    // The evaluator cuts the half cent off.
    assert_eq!(archiving.added.times(90, 30).exact(), "4.125");
    assert_eq!(archiving.pays(), Some(false));
}

/// AWS re:Post, "ebs-snapshot-billing": 100 GiB, then 5 more: A 100, B 5; archived, B is 105.
#[test]
fn the_repost_article_agrees() {
    let mut world = World::default();
    let volume = world.blank_volume();
    world.write(volume, 0, 100);
    world.snapshot(volume);
    world.write(volume, 100, 5);
    world.snapshot(volume);
    let versions = only(&world);
    assert_eq!((versions.attributed(), versions.full(1)), (vec![100, 5], 105));
}

/// The size is the number of blocks, not the last index: an old page took 16,383 for a count of 16,384.
#[test]
fn a_sparse_snapshot_is_as_large_as_its_blocks() {
    let mut world = World::default();
    let volume = world.blank_volume();
    world.write(volume, 0, 3);
    world.write(volume, 16_383, 1);
    world.snapshot(volume);
    assert_eq!(only(&world).full(0), 4);
}

#[test]
fn archiving_pays_above_a_quarter_and_less_often_when_restored() {
    let prices = virginia();
    let threshold = |restores_a_year, days_restored| {
        Archiving::threshold(Use { restores_a_year, days_restored }, &prices).unwrap()
    };
    // Thousandths, rounded down or up by one.
    assert!((250..=251).contains(&threshold(0, 0)));
    assert!((319..=321).contains(&threshold(1, 7)), "{}", threshold(1, 7));
    assert!((458..=460).contains(&threshold(3, 7)), "{}", threshold(3, 7));
    assert!(threshold(12, 7) > 1000, "restored every month, it never pays");
    let verdict = |blocks: u64| {
        let (alone, all) = (ByteSize::from_bytes(blocks * 524_288), ByteSize::from_bytes(1000 * 524_288));
        Archiving::of(alone, all, Use::default(), &prices).pays()
    };
    assert_eq!((verdict(249), verdict(250), verdict(251)), (Some(false), Some(false), Some(true)));
    let sydney = PriceTable::listed().region("ap-southeast-2").unwrap();
    let restored = Use { restores_a_year: 1, days_restored: 7 };
    assert_eq!(Archiving::of(gib(9), gib(10), restored, &sydney).pays(), None, "no retrieval price is known");
}
