//! An event of the log as consumers of a group are given it, made from the answer that a subscription would get.

use prooflog_events::ids::{EventId, Position};
use prost::Message as _;

use super::delivery::Origin;
use crate::error::Refusal;
use crate::names::LinkStream;
use crate::show::{IdForm, LINK, leads_to, parse_uuid, uuid};
use crate::wire::persistent_subscriptions::ReadResp;
use crate::wire::persistent_subscriptions::read_resp::read_event::{Count, Position as At};
use crate::wire::persistent_subscriptions::read_resp::{Content, ReadEvent};
use crate::wire::streams;
use crate::wire::streams::read_resp::read_event::{Position as Shown, RecordedEvent};
use crate::writer::correlation;

/// What a group's source said.
pub(crate) enum Taken {
    Event(Box<Delivered>),
    /// Everything below was looked at.
    Passed(u64),
    /// Nothing that a group has use for.
    Nothing,
}

/// An event to be given to a consumer.
pub(crate) struct Delivered {
    /// Where it stands in what the group reads.
    pub(crate) place: u64,
    pub(crate) position: Position,
    /// What consumers answer it by.
    pub(crate) id: EventId,
    /// None for a link that leads nowhere.
    pub(crate) origin: Option<Origin>,
    event: Option<RecordedEvent>,
    link: Option<RecordedEvent>,
}

impl Taken {
    /// Reads one answer of a subscription.
    pub(crate) fn decode(frame: &bytes::Bytes, is_all: bool) -> Result<Self, Refusal> {
        use streams::read_resp::Content as Said;
        let unreadable = || Refusal::Unavailable("an event cannot be shown".to_owned());
        let answer = streams::ReadResp::decode(frame.clone()).map_err(|_| unreadable())?;
        let event = match answer.content {
            Some(Said::Event(event)) => event,
            Some(Said::Checkpoint(checkpoint)) if is_all => {
                return Ok(Self::Passed(checkpoint.commit_position.saturating_add(1)));
            }
            _ => return Ok(Self::Nothing),
        };
        let position = match event.position {
            Some(Shown::CommitPosition(position)) => position,
            Some(Shown::NoPosition(_)) | None => 0,
        };
        let original = event.link.as_ref().or(event.event.as_ref()).ok_or_else(unreadable)?;
        let id = original.id.as_ref().and_then(parse_uuid).ok_or_else(unreadable)?;
        let place = if is_all { position } else { original.stream_revision };
        let origin = event.event.as_ref().map(origin);
        let position = Position(position);
        let (event, link) = (event.event, event.link);
        Ok(Self::Event(Box::new(Delivered { place, position, id, origin, event, link })))
    }
}

impl Delivered {
    /// The revision of what consumers answer: of the link, if there is one.
    pub(crate) fn original_revision(&self) -> u64 {
        self.link.as_ref().or(self.event.as_ref()).map_or(0, |original| original.stream_revision)
    }

    /// The answer that gives it to a consumer, and its bytes.
    pub(crate) fn into_answer(self, retries: u32, ids: IdForm) -> (ReadResp, usize) {
        let in_form = |recorded: RecordedEvent| RecordedEvent {
            id: recorded.id.as_ref().and_then(parse_uuid).map(|id| uuid(id, ids)),
            ..recorded
        };
        let event = ReadEvent {
            event: self.event.map(in_form),
            link: self.link.map(in_form),
            position: Some(At::CommitPosition(self.position.0)),
            count: Some(Count::RetryCount(i32::try_from(retries).unwrap_or(i32::MAX))),
        };
        let answer = ReadResp { content: Some(Content::Event(event)) };
        let size = answer.encoded_len();
        (answer, size)
    }
}

/// What an event is by itself: for a computed link, what it leads to, because nothing else can be found again.
fn origin(event: &RecordedEvent) -> Origin {
    let name = |event: &RecordedEvent| {
        let identifier = event.stream_identifier.as_ref();
        identifier.map(|name| String::from_utf8_lossy(&name.stream_name).into_owned()).unwrap_or_default()
    };
    let itself = (name(event), event.stream_revision);
    let is_computed =
        event.metadata.get("type").is_some_and(|kind| kind == LINK) && LinkStream::parse(&itself.0).is_some();
    let led_to = is_computed.then(|| leads_to(&event.data)).flatten();
    let (stream, revision) = led_to.map_or(itself, |(stream, revision)| (stream.to_owned(), revision));
    Origin { stream, revision, correlation: correlation(&event.custom_metadata) }
}
