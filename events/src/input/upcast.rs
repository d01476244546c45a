//! Older versions of inputs brought up to today's.
//!
//! As with events: a stored record keeps its bytes for ever, and an older version is read through its own line here.

use super::{Input, InputError, TimerDue};
use crate::codec;

/// The input stored under `name` in an older `version`.
pub(super) fn read(name: &str, version: u16, bytes: &[u8]) -> Result<Input, InputError> {
    match (name, version) {
        // It named nobody, and everything was looked through.
        ("TimerDue", 1) => codec::decode::<()>(bytes)
            .map(|()| TimerDue::of_all().into())
            .map_err(|source| InputError::Payload { name: "TimerDue", source }),
        _ => Err(InputError::Unknown { name: name.chars().take(256).collect(), version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_is_read_through_its_line_and_no_other() {
        assert_eq!(Input::decode("TimerDue", 1, &[]), Ok(TimerDue::of_all().into()));
        assert!(matches!(Input::decode("TimerDue", 1, &[0]), Err(InputError::Payload { .. })));
        assert!(matches!(Input::decode("TimerDue", 0, &[]), Err(InputError::Unknown { .. })));
        assert!(matches!(Input::decode("TimerDue", 3, &[0]), Err(InputError::Unknown { .. })));
        assert!(matches!(Input::decode("NodeRead", 2, &[]), Err(InputError::Unknown { .. })));
    }
}
