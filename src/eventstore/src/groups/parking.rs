//! What consumers give up, as it is appended to the stream of parked ones.
//!
//! A link to each event, with the reason, by the user whose it was. A batch is made once and tried until it is kept: with
//! the same ids the log knows a repetition. What a crash means: what was given up and not kept is delivered again.

use prooflog_events::envelope::Content;
use prooflog_log::NewRecord;
use serde::Serialize;

use super::delivery::GivenUp;
use crate::limits::{PARKED_AT_ONCE, PARKED_BYTES};
use crate::show::LINK;
use crate::writer::random_id;

/// Some of what was given up, by one user.
pub(crate) struct Batch {
    /// How many of the first they are.
    pub(crate) count: usize,
    pub(crate) by: String,
    pub(crate) records: Vec<NewRecord>,
    /// It was tried in vain, and that was said.
    pub(crate) failed: bool,
}

/// What is said of an event that is parked.
#[derive(Serialize)]
struct Said<'a> {
    reason: &'a str,
    retries: u32,
    #[serde(rename = "$correlationId", skip_serializing_if = "str::is_empty")]
    correlation: &'a str,
}

impl Batch {
    /// The first of `given_up`, as many as one append takes; none if there are none, or no ids for them now.
    pub(crate) fn of(stream: &str, given_up: &[GivenUp]) -> Option<Self> {
        let by = given_up.first()?.user.clone();
        let mut batch = Self { count: 0, by, records: Vec::new(), failed: false };
        let mut bytes = 0_usize;
        for given in given_up.iter().take_while(|given| given.user == batch.by).take(PARKED_AT_ONCE) {
            let record = link(stream, given)?;
            bytes = bytes.saturating_add(record.size());
            if bytes > PARKED_BYTES && batch.count > 0 {
                break;
            }
            batch.count += 1;
            batch.records.push(record);
        }
        Some(batch)
    }
}

fn link(stream: &str, GivenUp { message, reason, .. }: &GivenUp) -> Option<NewRecord> {
    // What was given to somebody was read, and has an origin.
    let origin = message.origin.as_ref()?;
    let said = Said { reason, retries: message.retries, correlation: &origin.correlation };
    let metadata = serde_json::to_vec(&said).ok()?;
    let to = format!("{}@{}", origin.revision, origin.stream).into_bytes();
    let record = NewRecord::foreign(stream, random_id().ok()?, LINK, Content::Octets, to);
    Some(NewRecord { correlation: origin.correlation.clone(), metadata, ..record })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::delivery::{Message, Origin, Place};
    use super::*;

    fn given_up(n: u64, user: &str, size: usize) -> GivenUp {
        // A control character takes six in JSON.
        let (correlation, reason) = ("c".repeat(1_024), "\u{1}".repeat(size));
        let origin = Some(Origin { stream: "s".repeat(1_000), revision: n, correlation });
        GivenUp {
            message: Message { place: Place::Source(n), retries: 0, origin },
            reason,
            user: user.to_owned(),
        }
    }

    #[test]
    fn a_batch_is_by_one_user_and_never_more_than_an_append_takes() {
        let all: Vec<GivenUp> =
            (0..300).map(|n| given_up(n, if n < 200 { "ann" } else { "eve" }, 1_024)).collect();
        let (mut rest, mut batches) = (all.as_slice(), 0);
        while let Some(batch) = Batch::of("p", rest) {
            assert!(batch.count > 0 && batch.records.len() == batch.count);
            assert!(rest.iter().take(batch.count).all(|given| given.user == batch.by));
            let bytes = batch.records.iter().map(NewRecord::size).sum::<usize>();
            assert!(bytes <= PARKED_BYTES, "{bytes}");
            rest = rest.get(batch.count..).unwrap();
            batches += 1;
        }
        assert!(batches > 5, "{batches}");
        assert!(rest.is_empty());
    }
}
