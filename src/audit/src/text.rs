//! Texts for people: times, and words of others that must not reach a terminal as they are.

use prooflog_events::ids::Micros;

/// A moment in UTC, to the second.
pub(crate) fn time(at: Micros) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    // What no calendar holds is shown as the number that was stored.
    jiff::Timestamp::from_second(seconds).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// Whether a character can move the cursor, end a line, or turn the direction of reading.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Words of others on one line, with nothing in them that a terminal obeys: nobody forges a line of a report.
pub(crate) fn clean(words: &str) -> String {
    let mut clean = String::with_capacity(words.len());
    for char in words.chars() {
        if is_unsafe(char) { clean.extend(char.escape_unicode()) } else { clean.push(char) }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_stay_on_their_line() {
        assert_eq!(clean("größer als 5 €"), "größer als 5 €");
        assert_eq!(clean("a\nb\u{1b}[2J\u{202e}c"), "a\\u{a}b\\u{1b}[2J\\u{202e}c");
    }

    #[test]
    fn times_are_utc_and_what_no_calendar_holds_is_a_number() {
        assert_eq!(time(Micros(1_709_251_199_000_000)), "2024-02-29T23:59:59Z");
        assert_eq!(time(Micros(u64::MAX)), u64::MAX.to_string());
    }
}
