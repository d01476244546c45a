//! What kind of failure the server's words are.
//!
//! One table, first match wins. The server says 500 to nearly everything, so its words decide; `error_class`, where a
//! server speaks it, goes before words. The words are kept for the operator, without the paths and credentials of
//! addresses in them, because they become events.

use prooflog_events::clip::clip;
use prooflog_events::values::FailureClass;

/// Most bytes of an error text that are kept.
pub const TEXT_MAX: usize = 4_096;

/// Words that tell a class, in lower case.
const WORDS: &[(FailureClass, &[&str])] = &[
    // The L1 data of the range are not there yet, as far as the server can see.
    (FailureClass::DataNotReady, &["failed to validate l2 block", "block number past l1 head"]),
    (
        FailureClass::Unexecutable,
        &["unexecutable", "cycle limit exceeded", "exceeded cycle limit", "exceeds the cycle limit"],
    ),
    (
        FailureClass::Account,
        &[
            "insufficient fund",
            "insufficient balance",
            "insufficient credit",
            "out of credit",
            "permission denied",
            "permissiondenied",
            "permission_denied",
            "unauthenticated",
            "unauthorized",
            "not authorized",
            "not whitelisted",
            "no reservation",
        ],
    ),
    (
        FailureClass::Capacity,
        &[
            "queue full",
            "queue is full",
            "too many requests",
            "resource exhausted",
            "resourceexhausted",
            "resource_exhausted",
            "rate limit",
            "at capacity",
            "out of capacity",
            "no capacity",
        ],
    ),
    // The server's own nodes or its network: no fault of the range.
    (
        FailureClass::Unreachable,
        &[
            "connection refused",
            "error trying to connect",
            "error sending request",
            "dns error",
            "tcp connect error",
        ],
    ),
];

/// The class of a failure by what the server calls it itself.
#[must_use]
pub fn by_name(error_class: &str) -> Option<FailureClass> {
    Some(match error_class.trim() {
        "unexecutable" => FailureClass::Unexecutable,
        "unfulfillable" => FailureClass::Unfulfillable,
        "witness_error" => FailureClass::WitnessError,
        "data_not_ready" => FailureClass::DataNotReady,
        "capacity" => FailureClass::Capacity,
        "account" => FailureClass::Account,
        "unreachable" => FailureClass::Unreachable,
        _ => return None,
    })
}

/// The class of a failure by its words.
#[must_use]
pub fn by_words(text: &str) -> Option<FailureClass> {
    let text = text.to_lowercase();
    WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map(|(class, _)| *class)
}

/// The class of a request that was answered with another status than 200.
///
/// What a proxy says in the server's place says nothing about the request, which may be under way: that is a broken
/// connection. What says that there is no such call is a wrong address.
#[must_use]
pub fn of_request(status: u16, error_class: Option<&str>, text: &str) -> FailureClass {
    if let Some(class) = error_class.and_then(by_name) {
        return class;
    }
    let by_status = match status {
        429 | 503 => Some(FailureClass::Capacity),
        401..=403 => Some(FailureClass::Account),
        408 | 502 | 504 => Some(FailureClass::Dropped),
        300..=399 | 404 | 405 | 501 => Some(FailureClass::Unreachable),
        _ => None,
    };
    by_status.or_else(|| by_words(text)).unwrap_or(FailureClass::WitnessError)
}

/// A server's words as they may be kept: addresses end after their host, no control characters, at most [`TEXT_MAX`]
/// bytes.
#[must_use]
pub fn presentable(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text.trim();
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at.saturating_add(3));
        kept.push_str(before);
        let is_end =
            |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | '>' | '<' | '|' | '}');
        let (address, tail) = after.split_at(after.find(is_end).unwrap_or(after.len()));
        let host_end = address.find(['/', '?', '#']).unwrap_or(address.len());
        let (authority, path) = address.split_at(host_end);
        // An `@` behind the first slash may still be a password's: what comes before the last one is not shown.
        let host = match address.rfind('@') {
            Some(at) => address.get(at.saturating_add(1)..).unwrap_or_default(),
            None => authority,
        };
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        kept.push_str(host);
        if !path.is_empty() || host.len() != authority.len() {
            kept.push_str("/…");
        }
        rest = tail;
        if kept.len() > TEXT_MAX {
            break;
        }
    }
    kept.push_str(rest);
    let shown: String =
        kept.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect();
    clip(&shown, TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_server_tell_the_class() {
        for (text, class) in [
            ("Failed to validate L2 block #12 with output root 0xab", FailureClass::DataNotReady),
            ("Block number past L1 head.", FailureClass::DataNotReady),
            ("program is UNEXECUTABLE", FailureClass::Unexecutable),
            ("code: PermissionDenied, message: no reservation", FailureClass::Account),
            ("Insufficient funds: balance 0", FailureClass::Account),
            ("status: ResourceExhausted", FailureClass::Capacity),
            ("queue full, try again", FailureClass::Capacity),
            ("tcp connect error: Connection refused (os error 111)", FailureClass::Unreachable),
            ("Failed to generate witness: timeout", FailureClass::WitnessError),
            ("", FailureClass::WitnessError),
        ] {
            assert_eq!(of_request(500, None, text), class, "{text}");
        }
    }

    #[test]
    fn the_status_goes_before_words_and_the_servers_own_name_before_both() {
        for (status, class) in [
            (429, FailureClass::Capacity),
            (503, FailureClass::Capacity),
            (402, FailureClass::Account),
            (401, FailureClass::Account),
            (502, FailureClass::Dropped),
            (504, FailureClass::Dropped),
            (404, FailureClass::Unreachable),
            (302, FailureClass::Unreachable),
            (400, FailureClass::WitnessError),
            (409, FailureClass::WitnessError),
        ] {
            assert_eq!(of_request(status, None, "words"), class, "{status}");
        }
        assert_eq!(of_request(429, Some("unexecutable"), "queue full"), FailureClass::Unexecutable);
        assert_eq!(of_request(500, Some("from the future"), "queue full"), FailureClass::Capacity);
    }

    #[test]
    fn every_class_that_a_server_may_name_is_the_one_of_the_record() {
        for class in [
            FailureClass::Unexecutable,
            FailureClass::Unfulfillable,
            FailureClass::WitnessError,
            FailureClass::DataNotReady,
            FailureClass::Capacity,
            FailureClass::Account,
            FailureClass::Unreachable,
        ] {
            let name = serde_json::to_value(class).map(|name| name.as_str().map(str::to_owned));
            assert_eq!(name.ok().flatten().as_deref().and_then(by_name), Some(class));
        }
    }

    #[test]
    fn keys_in_addresses_do_not_reach_the_record() {
        let text = presentable(
            "error for url (https://joe:p/w@rpc.example:8443/v2/SECRET?token=SECRET): wss://h/SECRET and http://plain:1 end",
        );
        assert_eq!(text, "error for url (https://rpc.example:8443/…): wss://h/… and http://plain:1 end");
    }

    #[test]
    fn a_text_is_cut_between_characters_and_loses_what_moves_a_terminal() {
        let text = presentable(&"ö".repeat(5_000));
        assert!(text.len() <= TEXT_MAX && text.len() > TEXT_MAX - 40);
        let kept = text.trim_end_matches(|c| c != 'ö');
        assert_eq!(text, format!("{kept}… ({} bytes more)", 10_000 - kept.len()));
        assert_eq!(presentable("a\u{1b}[31m\nb"), "a [31m\nb");
    }
}
