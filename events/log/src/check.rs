//! What can be said of an append without knowing the log: names, limits, digests.

use std::collections::HashSet;

use prooflog_events::envelope::{Content, blob_hash};
use prooflog_events::limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BLOB_INLINE_BYTES_MAX, EVENT_BYTES_MAX, INPUT_BYTES_MAX,
    LABEL_BYTES_MAX, STREAM_NAME_BYTES_MAX, TYPE_NAME_BYTES_MAX,
};

use crate::append::{Append, AppendError, By, NewRecord};

/// Refuses an append that no state of the log would accept.
pub(crate) fn check(append: &Append) -> Result<(), AppendError> {
    within("events in one batch", append.records.len(), BATCH_EVENTS_MAX)?;
    within("bytes in one batch", append.size(), BATCH_BYTES_MAX + INPUT_BYTES_MAX)?;
    let mut streams = HashSet::with_capacity(append.expectations.len());
    for expectation in &append.expectations {
        name("stream name", &expectation.stream, STREAM_NAME_BYTES_MAX)?;
        if !streams.insert(expectation.stream.as_str()) {
            return Err(AppendError::Invalid(format!("two expectations on stream `{}`", expectation.stream)));
        }
    }
    match &append.by {
        By::Operator(label) | By::Client(label) => {
            within("bytes of an actor's name", label.len(), LABEL_BYTES_MAX)?
        }
        By::Scheduler | By::Import | By::System => {}
    }
    if let Some(cause) = &append.cause {
        name("input name", &cause.name, TYPE_NAME_BYTES_MAX)?;
        within("bytes of an input", cause.bytes.len(), INPUT_BYTES_MAX)?;
    }
    within("blobs given up by one batch", append.forget.len(), BATCH_EVENTS_MAX)?;
    if append.records.is_empty() && !append.forget.is_empty() {
        return Err(AppendError::Invalid("blobs are given up, and no event says so".to_owned()));
    }
    for blob in &append.blobs {
        within("bytes of a blob within a batch", blob.bytes.len(), BLOB_INLINE_BYTES_MAX)?;
        if blob_hash(&blob.bytes) != blob.hash {
            return Err(AppendError::Invalid(format!(
                "the bytes given as blob {} hash to something else",
                blob.hash
            )));
        }
    }
    append.records.iter().try_for_each(check_record)
}

fn check_record(record: &NewRecord) -> Result<(), AppendError> {
    name("stream name", &record.stream, STREAM_NAME_BYTES_MAX)?;
    name("event type", &record.type_name, TYPE_NAME_BYTES_MAX)?;
    within("bytes of a correlation id", record.correlation.len(), LABEL_BYTES_MAX)?;
    within("bytes of an event", record.size(), EVENT_BYTES_MAX)?;
    if let Some(causation) = &record.causation {
        within("bytes of a stream name", causation.stream.len(), STREAM_NAME_BYTES_MAX)?;
    }
    match (record.content, record.version, record.event_id) {
        (Content::Native, 0, _) => {
            Err(AppendError::Invalid(format!("native event `{}` has schema version 0", record.type_name)))
        }
        (Content::Native, _, _) | (Content::Json | Content::Octets, 0, Some(_)) => Ok(()),
        (Content::Json | Content::Octets, _, _) => Err(AppendError::Invalid(format!(
            "foreign event `{}` needs an id of its own and schema version 0",
            record.type_name
        ))),
    }
}

fn name(what: &'static str, text: &str, max: usize) -> Result<(), AppendError> {
    if text.is_empty() {
        return Err(AppendError::Invalid(format!("an empty {what}")));
    }
    within(what, text.len(), max)
}

fn within(what: &'static str, size: usize, max: usize) -> Result<(), AppendError> {
    if size > max { Err(AppendError::TooLarge { what, size, max }) } else { Ok(()) }
}
