//! The version that a proof names itself.
//!
//! The proof of a range is the bincode of a struct whose last texts are the public values and the version of the prover
//! that made it: eight bytes of length, and the text. Later versions write one more optional field behind it. Only a
//! server of that version can take the proof as a member.

/// Longest version that is believed.
const VERSION_BYTES_MAX: usize = 40;

/// The version at the end of a proof, where one is there.
pub(crate) fn at_end(tail: &[u8]) -> Option<String> {
    let without_option = match tail {
        [before @ .., 0] => Some(before),
        _ => None,
    };
    [Some(tail), without_option].into_iter().flatten().find_map(named)
}

/// A text that ends the bytes and has its own length before it.
fn named(tail: &[u8]) -> Option<String> {
    (2..=VERSION_BYTES_MAX).find_map(|length| {
        let (before, text) = tail.split_at_checked(tail.len().checked_sub(length)?)?;
        let stated: [u8; 8] = before.last_chunk().copied()?;
        let is_length = u64::from_le_bytes(stated) == length as u64;
        let text = str::from_utf8(text).ok()?;
        let is_version = text.starts_with('v')
            && text.chars().nth(1).is_some_and(|c| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
        (is_length && is_version).then(|| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proof(version: &str, after: &[u8]) -> Vec<u8> {
        let mut bytes = vec![7; 50];
        bytes.extend((version.len() as u64).to_le_bytes());
        bytes.extend(version.as_bytes());
        bytes.extend(after);
        bytes
    }

    #[test]
    fn a_version_is_read_with_its_length_and_nothing_else_is() {
        assert_eq!(at_end(&proof("v4.0.0-rc.3", &[])).as_deref(), Some("v4.0.0-rc.3"));
        assert_eq!(at_end(&proof("v5.2.1", &[0])).as_deref(), Some("v5.2.1"));
        assert_eq!(at_end(&proof("v5.2.1", &[1, 2])), None);
        assert_eq!(at_end(&proof("5.2.1", &[])), None);
        assert_eq!(at_end(b"v5.2.1"), None);
        assert_eq!(at_end(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_version_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(version) = at_end(&bytes) {
                prop_assert!(version.len() <= VERSION_BYTES_MAX);
            }
        }
    }
}
