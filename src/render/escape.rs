//! Foreign text on somebody's terminal.

/// Text that others wrote (tags, descriptions) made safe to print: whatever could move the cursor, change colours,
/// break the line or turn its direction is shown as an escape.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns_direction(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Line separators and bidirectional controls: they make a line look like another one.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(escaped("a\x1b[31mred\n\tb\u{7f}\u{9b}"), r"a\u{1b}[31mred\n\tb\u{7f}\u{9b}");
        assert_eq!(escaped("\u{202e}live"), r"\u{202e}live");
        assert_eq!(escaped("Grüße 日本 \"quoted\""), "Grüße 日本 \"quoted\"");
    }
}
