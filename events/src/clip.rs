//! Words of others that are too long: cut, with a mark that says how much is missing.
//!
//! A text that was cut must not look whole, and whoever cuts it again must not lose count: the mark of an earlier cut is
//! read and counted in.

/// What stands before and behind the number of bytes that are missing.
const MARK: (&str, &str) = ("… (", " bytes more)");

/// Bytes that a mark takes at most.
const MARK_BYTES: usize = MARK.0.len() + 20 + MARK.1.len();

/// The text in at most `max` bytes; a longer one ends with a mark. A limit too small for a mark leaves nothing but it.
#[must_use]
pub fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let (whole, before) = unmarked(text);
    let kept = whole.get(..whole.floor_char_boundary(max.saturating_sub(MARK_BYTES))).unwrap_or_default();
    format!("{kept}{}", mark(whole.len().saturating_sub(kept.len()).saturating_add(before)))
}

/// The mark of a text whose last `missing` bytes are missing.
#[must_use]
pub fn mark(missing: usize) -> String {
    format!("{}{missing}{}", MARK.0, MARK.1)
}

/// A text without the mark of an earlier cut, and how much that one took.
fn unmarked(text: &str) -> (&str, usize) {
    let cut = || {
        let (whole, missing) = text.strip_suffix(MARK.1)?.rsplit_once(MARK.0)?;
        Some((whole, missing.parse().ok()?))
    };
    cut().unwrap_or((text, 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_left_alone_and_what_does_not_says_how_much_is_missing() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip(&"a".repeat(100), 50), format!("{}… (87 bytes more)", "a".repeat(13)));
        assert_eq!(clip(&"ö".repeat(50), 50), format!("{}… (88 bytes more)", "ö".repeat(6)));
        assert_eq!(clip("nothing fits", 3), "… (12 bytes more)");
    }

    #[test]
    fn a_second_cut_counts_what_the_first_one_took() {
        let once = clip(&"a".repeat(1_000), 200);
        assert_eq!(once, format!("{}… (837 bytes more)", "a".repeat(163)));
        assert_eq!(clip(&format!("why: {once}"), 100), format!("why: {}… (942 bytes more)", "a".repeat(58)));
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_the_limit_and_nothing_is_lost_without_a_word(text in ".{0,300}", max in 40_usize..400) {
            let clipped = clip(&text, max);
            prop_assert!(clipped.len() <= max);
            let (kept, missing) = unmarked(&clipped);
            let (whole, before) = unmarked(&text);
            prop_assert!(clipped == text || (whole.starts_with(kept) && kept.len() + missing == whole.len() + before));
        }
    }
}
