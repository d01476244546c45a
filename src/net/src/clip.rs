//! Words of a server that are too long: cut, with the mark that texts of the log have as well.
//!
//! This room knows nothing of the log's, so it has the few lines of its own.

/// The text in about `max` bytes; a longer one says how much of it is missing.
pub(crate) fn clip(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let kept = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
    format!("{kept}… ({} bytes more)", text.len().saturating_sub(kept.len()))
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn what_is_cut_says_how_much_is_missing() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("öffnen", 3), "öf… (4 bytes more)");
    }
}
