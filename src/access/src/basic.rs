//! The `Authorization` header of HTTP Basic, as strangers send it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a header that is looked at.
const HEADER_MAX: usize = 4_096;

/// Name and password; `None` for whatever is not one of each.
pub(crate) fn parse(header: &str) -> Option<(String, String)> {
    if header.len() > HEADER_MAX {
        return None;
    }
    let (scheme, rest) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_password_may_hold_colons() {
        let header = format!("Basic {}", STANDARD.encode("ann:pass:word"));
        assert_eq!(parse(&header), Some(("ann".into(), "pass:word".into())));
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_sends_is_refused_or_read(header in ".{0,200}") {
            let _ = parse(&header);
        }

        #[test]
        fn what_a_client_encodes_comes_back(name in "[a-z]{1,20}", password in ".{0,50}") {
            let header = format!("bAsIc {}", STANDARD.encode(format!("{name}:{password}")));
            prop_assert_eq!(parse(&header), Some((name, password)));
        }
    }
}
