//! Exchanges as they were documented or recorded, replayed from `fixtures/wire`.

use super::*;
use std::path::Path;

/// The snapshots that the fixtures speak of; their README describes them.
fn furnished() -> Bench {
    let bench = Bench::new();
    let parent = bench.completed(None, [0, 3, 2047]);
    let child = bench.completed(Some(&parent), [3, 9]);
    let stranger = bench.completed(None, [0]);
    let pending = bench.started(None);
    let failed = bench.started(None);
    bench.complete(&failed, 1, &[]);
    bench.advance(1);
    let made = [parent, child, stranger, pending, failed];
    assert!(made.iter().enumerate().all(|(n, id)| *id == format!("snap-{:017x}", n + 1)));
    bench
}

/// A file holds a request, a line of dashes, and the answer; see the README beside them.
fn replay(path: &Path) {
    let bench = furnished();
    let text = std::fs::read_to_string(path).unwrap();
    let (request, expected) = text.split_once("---\n").unwrap();
    let (line, headers, body) = message(request);
    let (method, target) = line.split_once(' ').unwrap();
    let mut asked = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        asked = asked.header(name, value);
    }
    let service = if target == "/" { "ec2" } else { "ebs" };
    let answer = bench.send(service, asked, body.to_owned());

    let (status, headers, body) = message(expected);
    let at = path.file_name().unwrap().display();
    assert_eq!(answer.status.to_string(), status, "{at}: {}", answer.text());
    for (name, value) in headers {
        let value = if value == "(none)" { "" } else { value };
        assert_eq!(answer.header(name), value, "{at}: {name}");
    }
    assert!(like(body, &answer.text()), "{at}:\nexpected {body}\nanswered {}", answer.text());
}

/// First line, headers, body.
fn message(text: &str) -> (&str, Vec<(&str, &str)>, &str) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    (first, lines.map(|line| line.split_once(": ").unwrap()).collect(), body.trim_end())
}

/// `<*>` stands for what differs each time: tokens, times, request ids.
fn like(pattern: &str, text: &str) -> bool {
    let parts: Vec<_> = pattern.split("<*>").collect();
    let [first, between @ .., last] = &parts[..] else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    between.iter().all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or("", |(_, rest)| rest);
        found.is_some()
    })
}

#[test]
fn every_recorded_exchange_is_answered_alike() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wire");
    let mut replayed = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "http") {
            replay(&path);
            replayed += 1;
        }
    }
    assert!(replayed >= 20, "only {replayed} exchanges were found");
}

#[test]
fn the_comparison_of_answers_bites() {
    assert!(like("a<*>c", "abc") && like("a<*>", "abc") && like("abc", "abc"));
    assert!(!like("a<*>c", "abcd") && !like("ab", "abc") && !like("b<*>", "abc") && !like("a<*>d<*>", "abc"));
}
