//! Counts, times and spans as people read them.

use crate::snapshot::UnixMillis;
use jiff::Timestamp;
use std::time::Duration;

/// A count with its thousands set apart: `1,048,576`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 block`, `2,048 blocks`.
pub fn blocks(n: u64) -> String {
    format!("{} block{}", count(n), if n == 1 { "" } else { "s" })
}

/// A span of time in its two largest units: `1.4s`, `2m05s`, `3h07m`.
pub fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..60 => format!("{secs}.{}s", span.subsec_millis() / 100),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
    }
}

/// A short span to three digits: `0.412 ms`, `20.1 ms`, `1250 ms`.
pub(super) fn millis(span: Duration) -> String {
    let millis = span.as_secs_f64() * 1e3;
    match millis {
        ..1.0 => format!("{millis:.3} ms"),
        1.0..100.0 => format!("{millis:.1} ms"),
        _ => format!("{millis:.0} ms"),
    }
}

/// Reads a time as RFC 3339 has it.
pub fn parse_time(text: &str) -> Result<UnixMillis, String> {
    let time = text.parse::<Timestamp>();
    time.map(|time| UnixMillis(time.as_millisecond()))
        .map_err(|_| format!("'{text}' is not a time as in 2026-01-31T04:00:00Z"))
}

/// A time in UTC as RFC 3339 has it, milliseconds included where there are any; `None` outside the years that
/// RFC 3339 can write.
pub(super) fn rfc3339(time: UnixMillis) -> Option<String> {
    Timestamp::from_millisecond(time.0).ok().map(|time| time.to_string())
}

/// The same to the second, for people.
pub(super) fn to_the_second(time: UnixMillis) -> String {
    Timestamp::from_second(time.as_secs()).map_or_else(|_| "unknown".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_048_576, "1,048,576")] {
            assert_eq!(count(n), text);
        }
        assert_eq!((blocks(1).as_str(), blocks(2048).as_str()), ("1 block", "2,048 blocks"));
    }

    #[test]
    fn spans_show_two_units() {
        for (millis, text) in [(0, "0.0s"), (1_450, "1.4s"), (125_000, "2m05s"), (11_220_000, "3h07m")] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn short_spans_show_three_digits() {
        for (micros, text) in [(412, "0.412 ms"), (20_140, "20.1 ms"), (1_250_400, "1250 ms")] {
            assert_eq!(millis(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn times_are_rfc3339_in_utc() {
        let time = UnixMillis(1_700_000_000_123);
        assert_eq!(rfc3339(time).unwrap(), "2023-11-14T22:13:20.123Z");
        assert_eq!(to_the_second(time), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(UnixMillis(i64::MAX)), None);
    }
}
