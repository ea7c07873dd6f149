//! Reading plans, and which requests they meet.

use super::*;

fn plan(text: &str) -> Plan {
    text.parse().unwrap()
}

#[track_caller]
fn refused(text: &str, line: usize, column: usize, said: &str) {
    let error = text.parse::<Plan>().unwrap_err();
    assert_eq!((error.line, error.column), (line, column), "{error}");
    assert!(error.to_string().contains(said), "{error}");
}

const GET: &str = "GetSnapshotBlock";

#[test]
fn a_line_says_which_requests_and_what_happens() {
    let plan = plan("# first\n\nGetSnapshotBlock block=17 nth=1-2 throttle=snapshot # why\n*\treset nth=3\n");
    let meets = |operation, index, nth| plan.effect(operation, "snap-01", index, nth);
    let throttled = Some(Effect::Throttled(Scope::Snapshot));
    assert_eq!(
        [1, 2, 3, 4].map(|nth| meets(GET, Some(17), nth)),
        [throttled, throttled, Some(Effect::Reset), None]
    );
    assert_eq!(meets(GET, Some(18), 1), None);
    assert_eq!(meets("StartSnapshot", None, 3), Some(Effect::Reset));
}

#[test]
fn the_first_rule_that_fits_decides() {
    let plan = plan("GetSnapshotBlock block=1-3 denied\nGetSnapshotBlock stall\n");
    assert_eq!(plan.effect(GET, "", Some(3), 9), Some(Effect::Denied));
    assert_eq!(plan.effect(GET, "", Some(4), 9), Some(Effect::Stalls));
}

#[test]
fn a_rule_for_everything_is_one_for_what_can_meet_it() {
    let plan = plan("* checksum=missing\n* slow=250");
    assert_eq!(plan.effect(GET, "", Some(0), 1), Some(Effect::NoChecksum));
    let slow = Some(Effect::Slow(Duration::from_millis(250)));
    assert_eq!(plan.effect("ListSnapshotBlocks", "", Some(0), 1), slow);
}

#[test]
fn a_snapshot_can_be_singled_out() {
    let plan = plan("* snapshot=snap-0a error=503");
    assert_eq!(plan.effect(GET, "snap-0a", Some(0), 1), Some(Effect::Unavailable));
    assert_eq!(plan.effect(GET, "snap-0b", Some(0), 1), None);
}

#[test]
fn shares_are_kept_and_the_same_requests_drawn_each_time() {
    let drawn = |text: &str| -> Vec<u64> {
        let plan = plan(text);
        (0..10_000).filter(|index| plan.effect(GET, "any", Some(*index), 1).is_some()).collect()
    };
    let tenth = drawn("* share=0.1 seed=7 error=500");
    assert!((900..1_100).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(tenth, drawn("\n\nGetSnapshotBlock seed=7 denied share=0.1"), "whatever else the line says");
    let other = drawn("* share=0.1 seed=8 error=500");
    let common = tenth.iter().filter(|index| other.contains(index)).count();
    assert!(common < 200, "another seed draws others: {common} in common");
    assert_eq!(drawn("* share=1 reset").len(), 10_000);
    let again = plan("* share=0.5 seed=1 reset");
    let nths: Vec<_> = (1..=64).map(|nth| again.effect(GET, "", Some(5), nth).is_some()).collect();
    assert!(nths.contains(&true) && nths.contains(&false), "a repeated request draws again");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place_and_what_is_allowed() {
    refused("GetSnapshotBlok error=500", 1, 1, "allowed are * and ListSnapshotBlocks, ");
    refused("\n  * nth=0 reset", 2, 5, "from 1 on");
    refused("* nth=3-2 reset", 1, 3, "allowed are N, N-M and N-");
    refused("* block=x reset", 1, 3, "no whole number");
    refused("* share=0 reset", 1, 3, "above 0, at most 1");
    refused("* share=1.1 reset", 1, 3, "above 0, at most 1");
    refused("* share=+.5 reset", 1, 3, "above 0, at most 1");
    refused("* sometimes reset", 1, 3, "share=0.01");
    refused("* ä=1 reset", 1, 3, "neither a condition");
    refused("* nth=1", 1, 1, "says not what happens: add throttle=account");
    refused("* reset stall", 1, 9, "one effect");
    refused("* nth=1 nth=2 reset", 1, 9, "nth= stands there twice");
    refused("* snapshot=vol-1 reset", 1, 3, "no snapshot's id");
    refused("* slow=99999999999", 1, 3, "at most 3600000 milliseconds");
    refused("StartSnapshot checksum=wrong", 1, 15, "StartSnapshot cannot meet 'checksum=wrong'; it can meet");
}

#[test]
fn whatever_is_written_is_a_plan_or_an_error_with_a_place() {
    let words = "* GetSnapshotBlock ListSnapshotBlocks block=1-2 nth=1- share=0.5 seed=18446744073709551615 slow=1 \
                 reset body=wrong snapshot=snap-0 nth= = ä #x share=1.0000000001 block=99999999999999999999";
    let words: Vec<_> = words.split_whitespace().collect();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut plans, mut errors) = (0, 0);
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..random.usize(..12) {
            let mut word = words[random.usize(..words.len())].to_owned();
            if random.u8(..8) == 0 {
                let at = word.char_indices().map(|(at, _)| at).nth(random.usize(..4)).unwrap_or_default();
                word.insert(at, *random.choice(['=', '-', '.', '9', 'ß', '\u{2003}'].iter()).unwrap());
            }
            text.push_str(&word);
            text.push(*random.choice([' ', ' ', '\t', '\n'].iter()).unwrap());
        }
        match text.parse::<Plan>() {
            Ok(plan) => {
                plans += 1;
                let _ = plan.effect(GET, "snap-0", Some(u64::MAX), u32::MAX);
            }
            Err(error) => {
                errors += 1;
                let line = text.lines().nth(error.line - 1).unwrap();
                assert!((1..=line.chars().count()).contains(&error.column), "{error} in {text:?}");
            }
        }
    }
    assert!(plans > 1_000 && errors > 1_000, "{plans} plans, {errors} errors");
}

#[test]
fn the_document_names_every_operation_and_effect_and_its_example_is_a_plan() {
    let document = include_str!("../../faults.md");
    for word in words().map(|(word, _)| word).chain(act::names()) {
        assert!(document.contains(&format!("`{word}`")), "{word}");
    }
    let examples: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("    ")).skip(1).collect();
    assert_eq!(plan(&examples.join("\n")).rules.len(), 5);
}
