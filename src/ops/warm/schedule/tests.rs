//! The schedule in virtual time: a simulated device answers, and nothing waits.

use super::*;
use crate::block::{BlockRange, BlockSet};
use crate::ops::warm::depth::MOST;
use crate::ops::warm::pace::Rate;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// When it comes back, of several at once in which order; the turn, when it was sent, and what becomes of it.
type Coming = Reverse<(Duration, u64)>;

/// Runs a schedule against a device; gives the turns in the order in which they were sent, with their times.
fn run(
    schedule: &mut Schedule,
    mut answer: impl FnMut(&Turn, Duration) -> (Duration, Outcome),
) -> Vec<(Duration, Turn)> {
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    let mut coming: BinaryHeap<Coming> = BinaryHeap::new();
    loop {
        match schedule.next(now) {
            Next::Read(turn) => {
                let (took, _) = answer(&turn, now);
                coming.push(Reverse((now + took, sent.len() as u64)));
                sent.push((now, turn));
                continue;
            }
            Next::Over => return sent,
            Next::At(slot) if coming.peek().is_none_or(|back| back.0.0 > slot) => {
                now = slot;
                continue;
            }
            Next::At(_) | Next::Later => {}
        }
        let Reverse((back, n)) = coming.pop().expect("something is in flight");
        now = back;
        let (begun, turn) = sent[usize::try_from(n).unwrap()];
        let (_, outcome) = answer(&turn, begun);
        schedule.finish(turn, outcome, back - begun, now);
    }
}

fn all(n: u32) -> Ranked {
    Ranked::by_index(Arc::new(BlockSet::from(BlockRange::new(BlockIndex::ZERO, n))))
}

fn schedule(orders: Vec<Ranked>, rate: Rate, sharing: Sharing, until: Option<u64>) -> Schedule {
    Schedule::new(orders, &Depth::new(None, MOST), Pace::new(rate), sharing, until.map(Duration::from_secs))
}

fn plain(n: u32) -> Schedule {
    schedule(vec![all(n)], Rate::default(), Sharing::Fair, None)
}

const MIBS_100: Rate = Rate { bytes: Some(100 << 20), iops: None };

fn after(millis: u64) -> (Duration, Outcome) {
    (Duration::from_millis(millis), Outcome::Done)
}

fn last(sent: &[(Duration, Turn)]) -> Duration {
    sent.last().unwrap().0
}

#[test]
fn every_block_is_read_once_in_order_and_many_at_a_time() {
    let depth = Depth::new(Some(128), MOST);
    let mut schedule =
        Schedule::new(vec![all(2_048)], &depth, Pace::new(Rate::default()), Sharing::Fair, None);
    let sent = run(&mut schedule, |_, _| after(20));
    let indexes: Vec<_> = sent.iter().map(|(_, turn)| turn.index.get()).collect();
    assert_eq!(indexes, (0..2_048).collect::<Vec<_>>());
    // Sixteen waves of 128 at 20 ms; fewer where nobody says how many.
    assert_eq!(last(&sent), Duration::from_millis(15 * 20));
    let sent = run(&mut plain(2_048), |_, _| after(20));
    assert!(last(&sent) < Duration::from_millis(11 * 20), "{:?}", last(&sent));
}

#[test]
fn a_rate_is_kept_over_ten_seconds_whatever_the_device_does() {
    for latency in [1, 20, 400] {
        let sent = run(&mut schedule(vec![all(3_000)], MIBS_100, Sharing::Fair, None), |_, _| after(latency));
        let within = sent.iter().filter(|(at, _)| *at < Duration::from_secs(10)).count();
        assert!(within.abs_diff(2_000) <= 100, "{within} blocks of 2,000 at {latency} ms");
    }
}

#[test]
fn reading_ends_within_a_hundredth_of_the_deadline() {
    for (latency, deadline) in [(20, 10), (300, 60), (5, 3)] {
        let mut end = Duration::ZERO;
        let mut schedule = schedule(vec![all(1 << 20)], Rate::default(), Sharing::Fair, Some(deadline));
        let sent = run(&mut schedule, |turn, now| {
            let latency = latency + u64::from(turn.index.get() % 7);
            end = end.max(now + Duration::from_millis(latency));
            after(latency)
        });
        assert!(!sent.is_empty());
        let deadline = Duration::from_secs(deadline);
        assert!(end <= deadline.mul_f64(1.01), "{end:?} of {deadline:?} at {latency} ms");
        assert!(end >= deadline.mul_f64(0.97), "{end:?} of {deadline:?} at {latency} ms");
    }
}

#[test]
fn what_is_left_can_be_told_from_a_tenth_of_the_work() {
    // A device that warms up: the first reads of a volume take longer, and all of them vary.
    let latency = |n: u32| 20 + u64::from(n * 37 % 23) + if n < 500 { 20 } else { 0 };
    // Some half a minute of work: of less, nobody asks.
    let n = 200_000;
    let mut ends = Vec::new();
    run(&mut plain(n), |turn, now| {
        let answer = after(latency(turn.index.get()));
        ends.push(now + answer.0);
        answer
    });
    ends.sort();
    ends.dedup();
    let (tenth, whole) = (ends[ends.len() / 10].as_secs_f64(), ends.last().unwrap().as_secs_f64());
    let told = tenth * 10.0;
    assert!((told - whole).abs() <= 0.2 * whole, "{told} for {whole}");
}

#[test]
fn two_devices_get_as_much_each() {
    let orders = vec![all(1_000), all(1_000)];
    let sent = run(&mut schedule(orders, MIBS_100, Sharing::Fair, None), |_, _| after(5));
    let early: Vec<_> = sent[..400].iter().map(|(_, turn)| turn.lane).collect();
    assert_eq!(early.iter().filter(|lane| **lane == 0).count(), 200);
}

#[test]
fn in_turn_the_first_device_gets_what_it_can_take() {
    let orders = vec![all(1_000), all(1_000)];
    let sent = run(&mut schedule(orders, MIBS_100, Sharing::InTurn, None), |_, _| after(5));
    let second = sent.iter().position(|(_, turn)| turn.lane == 1);
    assert_eq!(second, Some(1_000));
    // What the first leaves is the second's: it answers so late that the rate is not used up by it.
    let depth = Depth::new(Some(2), MOST);
    let orders = vec![all(1_000), all(1_000)];
    let mut schedule = Schedule::new(orders, &depth, Pace::new(MIBS_100), Sharing::InTurn, None);
    let sent = run(&mut schedule, |turn, _| after(if turn.lane == 0 { 20 } else { 1 }));
    let early = sent[..400].iter().filter(|(_, turn)| turn.lane == 1).count();
    assert!((100..320).contains(&early), "{early}");
}

#[test]
fn a_device_that_hangs_takes_only_its_share_from_the_others() {
    let orders = vec![all(10_000), all(10_000)];
    let mut schedule = schedule(orders, Rate::default(), Sharing::Fair, None);
    let mut ends = [Duration::ZERO; 2];
    run(&mut schedule, |turn, now| {
        // A read of the first takes the kernel's thirty seconds.
        let answer = after(if turn.lane == 0 { 30_000 } else { 20 });
        ends[turn.lane] = ends[turn.lane].max(now + answer.0);
        answer
    });
    assert!(ends[1] < Duration::from_secs(5), "{:?}", ends[1]);
}

#[test]
fn a_device_that_has_gone_is_left_alone() {
    let orders = vec![all(1_000), all(1_000)];
    let mut schedule = schedule(orders, Rate::default(), Sharing::Fair, None);
    let sent = run(&mut schedule, |turn, _| match turn {
        Turn { lane: 0, .. } => (Duration::from_millis(1), Outcome::Gone),
        _ => after(1),
    });
    let of = |lane| sent.iter().filter(|(_, turn)| turn.lane == lane).count();
    assert!(of(0) <= MOST && of(1) == 1_000, "{} and {}", of(0), of(1));
}

#[test]
fn what_cannot_be_read_is_tried_again_and_then_given_up() {
    let mut schedule = plain(100);
    let bad = |index: BlockIndex| index.get() % 10 == 3;
    let sent = run(&mut schedule, |turn, _| {
        let outcome = if bad(turn.index) { Outcome::Failed } else { Outcome::Done };
        (Duration::from_millis(1), outcome)
    });
    for index in 0..100 {
        let times = sent.iter().filter(|(_, turn)| turn.index.get() == index).count();
        let expected = if bad(BlockIndex::new(index)) { TRIES as usize } else { 1 };
        assert_eq!(times, expected, "block {index}");
    }
}

#[test]
fn a_stop_lets_what_is_in_flight_come_back() {
    let mut schedule = plain(1_000);
    let Next::Read(turn) = schedule.next(Duration::ZERO) else { panic!("there is work") };
    schedule.stop();
    assert_eq!(schedule.next(Duration::ZERO), Next::Later);
    schedule.finish(turn, Outcome::Failed, Duration::ZERO, Duration::ZERO);
    assert_eq!(schedule.next(Duration::ZERO), Next::Over, "and is not tried again");
}

#[test]
fn no_more_is_in_flight_than_memory_allows() {
    let orders = (0..20).map(|_| all(500)).collect();
    let mut schedule = schedule(orders, Rate::default(), Sharing::Fair, None);
    let mut most = 0;
    while let Next::Read(_) = schedule.next(Duration::ZERO) {
        most += 1;
    }
    assert!((MOST - 20..=MOST).contains(&most), "{most}");
    assert_eq!(schedule.next(Duration::ZERO), Next::Later);
}
