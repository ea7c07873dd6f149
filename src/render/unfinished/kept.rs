//! The times of the last success in a page of metrics that an earlier run wrote.

use std::collections::{BTreeMap, BTreeSet};

/// The beginning and the end of the names of these metrics, in every command's page.
const PREFIX: &str = "icecore_";
const SUFFIX: &str = "_last_success_timestamp_seconds";

/// Returns the metrics of this page that say when something last succeeded, as a part of another page. A line that is
/// not well formed is left out: it would cost the collector the whole page.
pub(super) fn successes(page: &[u8]) -> String {
    let text = String::from_utf8_lossy(page);
    let mut families: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = family(line) {
            families.entry(name).or_default().insert(line);
        }
    }
    let mut kept = String::new();
    for (name, lines) in families {
        kept +=
            &format!("# HELP {name} When it last succeeded, as an earlier run found.\n# TYPE {name} gauge\n");
        lines.into_iter().for_each(|line| kept.extend([line, "\n"]));
    }
    kept
}

/// The name of the metric that a line gives a time to.
fn family(line: &str) -> Option<&str> {
    let name = line.split(['{', ' ']).next()?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if !is_name || !name.starts_with(PREFIX) || !name.ends_with(SUFFIX) {
        return None;
    }
    let rest = &line[name.len()..];
    let value = match rest.strip_prefix('{') {
        None => rest,
        Some(labels) => after_labels(labels)?,
    };
    let seconds: f64 = value.strip_prefix(' ')?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(name)
}

/// The rest of a line behind `name="value",..}`.
fn after_labels(mut rest: &str) -> Option<&str> {
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Some(behind);
        }
        let (name, value) = rest.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        rest = after_value(value)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// The rest behind a quoted value, whose escapes are `\\`, `\"` and `\n`.
fn after_value(text: &str) -> Option<&str> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some(&text[at + 1..]),
            '\\' if !matches!(chars.next()?.1, '\\' | '"' | 'n') => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_success_are_kept_and_nothing_else() {
        let page = "# HELP icecore_verify_run Whether.\n# TYPE icecore_verify_run gauge\n\
                    icecore_verify_run{state=\"pass\"} 1.0\n\
                    icecore_verify_last_success_timestamp_seconds{subject=\"a \\\"b\\\" {c},\"} 1700000000.5\n\
                    icecore_ledger_last_success_timestamp_seconds{snapshot_id=\"snap-1\",of=\"x\"} 17\n\
                    icecore_verify_last_success_timestamp_seconds{subject=\"b\"} 1.0\n# EOF\n";
        let kept = successes(page.as_bytes());
        let values: Vec<_> = kept.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                "icecore_ledger_last_success_timestamp_seconds{snapshot_id=\"snap-1\",of=\"x\"} 17",
                "icecore_verify_last_success_timestamp_seconds{subject=\"a \\\"b\\\" {c},\"} 1700000000.5",
                "icecore_verify_last_success_timestamp_seconds{subject=\"b\"} 1.0",
            ]
        );
        assert_eq!(kept.matches("# TYPE").count(), 2);
        assert_eq!(successes(kept.as_bytes()), kept, "a second unfinished run keeps them as well");
    }

    #[test]
    fn a_line_that_is_not_well_formed_is_left_out() {
        let name = "icecore_verify_last_success_timestamp_seconds";
        for line in [
            name.to_owned(),
            format!("{name} "),
            format!("{name} NaN"),
            format!("{name} -1"),
            format!("{name} 1 2"),
            format!("{name}{{a=\"b\" 1"),
            format!("{name}{{a=\"b\\x\"}} 1"),
            format!("{name}{{=\"b\"}} 1"),
            format!("{name}{{a=b}} 1"),
            format!("x{name} 1"),
            format!(" {name} 1"),
            "icecore_last_success 1".to_owned(),
        ] {
            assert_eq!(successes(line.as_bytes()), "", "{line}");
        }
        assert_eq!(successes(&[0xff, 0xfe, b'\n', 0]), "");
    }
}
