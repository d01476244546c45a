//! Append, Delete and Tombstone of the first generation.
//!
//! Who may not write is told before anything is read. A wrong expectation is an answer of Append and an error of the
//! other two. What a crash means: see the writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prooflog_events::envelope::Content;
use prooflog_events::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use tonic::{Status, Streaming};

use crate::authority::Caller;
use crate::error::{Expect, Forever, Refusal, wrong_version_answer};
use crate::names;
use crate::show::parse_uuid;
use crate::wire::client::{self, Empty};
use crate::wire::streams::append_req::Content as Message;
use crate::wire::streams::append_resp::{self, Result as Outcome};
use crate::wire::streams::{
    AppendReq, AppendResp, DeleteReq, DeleteResp, TombstoneReq, TombstoneResp, append_req, delete_req,
    delete_resp, tombstone_req, tombstone_resp,
};
use crate::writer::{Order, Proposed, Target, Writer, Written, owned};

/// The four fields of an event, which two messages have alike.
pub(crate) struct Fields {
    pub(crate) id: Option<client::Uuid>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) custom_metadata: Bytes,
    pub(crate) data: Bytes,
}

/// An event as a client proposes it.
pub(crate) fn proposed(fields: Fields) -> Result<Proposed, Refusal> {
    let Fields { id, mut metadata, custom_metadata, data } = fields;
    let id = id.as_ref().and_then(parse_uuid);
    let id = id.ok_or_else(|| Refusal::invalid("an event needs an id, and not the nil one"))?;
    let type_name = metadata.remove("type").ok_or(Refusal::MissingProperty)?;
    let content = match metadata.remove("content-type").ok_or(Refusal::MissingProperty)?.as_str() {
        "application/json" => Content::Json,
        _ => Content::Octets,
    };
    let (metadata, data) = (owned(&custom_metadata), owned(&data));
    let proposed = Proposed { id, type_name, content, metadata, data };
    proposed.check()?;
    Ok(proposed)
}

/// The stream that a message names.
pub(crate) fn stream(identifier: Option<client::StreamIdentifier>) -> Result<String, Refusal> {
    let identifier = identifier.ok_or_else(|| Refusal::invalid("the stream identifier is missing"))?;
    names::decode(&identifier.stream_name)
}

/// A revision as a client expects it: the largest number is none.
pub(crate) fn exact(revision: u64) -> Result<Expect, Refusal> {
    match i64::try_from(revision) {
        Ok(_) => Ok(Expect::Exact(revision)),
        Err(_) if revision == u64::MAX => Ok(Expect::NoStream),
        Err(_) => Err(Refusal::invalid("the expected revision is too large")),
    }
}

/// Answers an Append call. The next message may be awaited for `patience`.
pub(crate) async fn append(
    writer: &Arc<Writer>,
    caller: &Caller,
    mut requests: Streaming<AppendReq>,
    patience: Duration,
) -> Result<AppendResp, Status> {
    writer.admit(caller)?;
    let mut next = async || match tokio::time::timeout(patience, requests.message()).await {
        Ok(message) => message.map(|message| message.and_then(|message| message.content)),
        Err(_) => Err(Refusal::Timeout.status()),
    };
    let Some(Message::Options(options)) = next().await? else {
        return Err(Refusal::invalid("the first message holds the options").status());
    };
    let target = target(options)?;
    let expect = target.expect;
    let name = target.name.clone();
    let mut order = Order { targets: vec![target], events: Vec::new() };
    let mut size = 0_usize;
    while let Some(message) = next().await? {
        let Message::ProposedMessage(message) = message else {
            return Err(Refusal::invalid("only the first message holds options").status());
        };
        let append_req::ProposedMessage { id, metadata, custom_metadata, data } = message;
        let event = proposed(Fields { id, metadata, custom_metadata, data })?;
        size = size.saturating_add(event.size());
        order.events.push((0, event));
        if size > 2 * BATCH_BYTES_MAX || order.events.len() > BATCH_EVENTS_MAX {
            // It cannot become smaller again.
            break;
        }
    }
    let result = match writer.write(caller, &order).await {
        Ok(written) => Outcome::Success(success(&written, &name)),
        Err(Refusal::WrongVersion { actual, .. }) => {
            Outcome::WrongExpectedVersion(wrong_version_answer(expect, actual))
        }
        Err(refusal) => return Err(refusal.status()),
    };
    Ok(AppendResp { result: Some(result) })
}

fn target(options: append_req::Options) -> Result<Target, Refusal> {
    use append_req::options::ExpectedStreamRevision as E;
    let expect = match options.expected_stream_revision {
        Some(E::Revision(revision)) => exact(revision)?,
        Some(E::NoStream(_)) => Expect::NoStream,
        Some(E::Any(_)) => Expect::Any,
        Some(E::StreamExists(_)) => Expect::Exists,
        None => return Err(Refusal::invalid("the expected revision is missing")),
    };
    Ok(Target { name: stream(options.stream_identifier)?, expect, written: true })
}

fn success(written: &Written, stream: &str) -> append_resp::Success {
    use append_resp::success::{CurrentRevisionOption as R, PositionOption as P};
    let position = |at: prooflog_events::ids::Position| {
        P::Position(append_resp::Position { commit_position: at.0, prepare_position: at.0 })
    };
    append_resp::Success {
        current_revision_option: Some(
            written.revision(stream).map_or(R::NoStream(Empty {}), R::CurrentRevision),
        ),
        position_option: Some(written.position.map_or(P::NoPosition(Empty {}), position)),
    }
}

/// Answers a Delete call.
pub(crate) async fn delete(
    writer: &Arc<Writer>,
    caller: &Caller,
    request: DeleteReq,
) -> Result<DeleteResp, Status> {
    use delete_req::options::ExpectedStreamRevision as E;
    writer.admit(caller)?;
    let options = request.options.ok_or_else(|| Refusal::invalid("the options are missing"))?;
    let expect = match options.expected_stream_revision {
        Some(E::Revision(revision)) => exact(revision)?,
        Some(E::NoStream(_)) => Expect::NoStream,
        Some(E::Any(_)) => Expect::Any,
        Some(E::StreamExists(_)) => Expect::Exists,
        None => return Err(Refusal::invalid("the expected revision is missing").status()),
    };
    let target = Target { name: stream(options.stream_identifier)?, expect, written: true };
    let at = writer.delete(caller, target, Forever::No).await?;
    let position = delete_resp::Position { commit_position: at.0, prepare_position: at.0 };
    Ok(DeleteResp { position_option: Some(delete_resp::PositionOption::Position(position)) })
}

/// Answers a Tombstone call.
pub(crate) async fn tombstone(
    writer: &Arc<Writer>,
    caller: &Caller,
    request: TombstoneReq,
) -> Result<TombstoneResp, Status> {
    use tombstone_req::options::ExpectedStreamRevision as E;
    writer.admit(caller)?;
    let options = request.options.ok_or_else(|| Refusal::invalid("the options are missing"))?;
    let expect = match options.expected_stream_revision {
        Some(E::Revision(revision)) => exact(revision)?,
        Some(E::NoStream(_)) => Expect::NoStream,
        Some(E::Any(_)) => Expect::Any,
        Some(E::StreamExists(_)) => Expect::Exists,
        None => return Err(Refusal::invalid("the expected revision is missing").status()),
    };
    let target = Target { name: stream(options.stream_identifier)?, expect, written: true };
    let at = writer.delete(caller, target, Forever::Yes).await?;
    let position = tombstone_resp::Position { commit_position: at.0, prepare_position: at.0 };
    Ok(TombstoneResp { position_option: Some(tombstone_resp::PositionOption::Position(position)) })
}
