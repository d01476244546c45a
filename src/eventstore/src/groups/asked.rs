//! What calls about groups ask for, checked.
//!
//! Numbers that mean nothing are refused with what they were for. What a crash means: the call ends; nothing is kept.

use super::definition::{ALL, ConsumerStrategy, Filter, Key, Settings};
use crate::append::stream;
use crate::error::Refusal;
use crate::request::{From, number, revision};
use crate::wire::client::StreamIdentifier;
use crate::wire::persistent_subscriptions as wire;
use crate::wire::persistent_subscriptions::settings::{
    CheckpointAfter, ConsumerStrategy as Named, MessageTimeout,
};

/// A tick of the protocol: 100 ns.
const TICKS_OF_MILLI: i64 = 10_000;

/// A group that is to be created, or how one is to become.
pub(crate) struct Asked {
    pub(crate) key: Key,
    pub(crate) filter: Option<Filter>,
    pub(crate) start: From,
    pub(crate) settings: Settings,
}

/// The group that is meant: of a stream, or of the whole log.
pub(crate) fn key(name: Option<StreamIdentifier>, is_all: bool, group: String) -> Result<Key, Refusal> {
    match is_all {
        true => Key::new(ALL.to_owned(), group),
        false => Key::new(stream(name)?, group),
    }
}

impl Asked {
    pub(crate) fn parse(options: Option<wire::GroupOptions>) -> Result<Self, Refusal> {
        use wire::group_options::StreamOption;
        let options = options.ok_or_else(|| missing("options"))?;
        let settings = options.settings.ok_or_else(|| missing("settings"))?;
        let group = options.group_name;
        let (key, filter, start) = match options.stream_option {
            Some(StreamOption::Stream(of)) => {
                let start = revision(&of)?;
                (key(of.stream_identifier, false, group)?, None, start)
            }
            Some(StreamOption::All(all)) => {
                let filter = match &all.filter_option {
                    Some(wire::all_options::FilterOption::Filter(filter)) => Some(Filter::parse(filter)?),
                    Some(wire::all_options::FilterOption::NoFilter(_)) | None => None,
                };
                (key(None, true, group)?, filter, position(all.all_option)?)
            }
            // As the first clients asked.
            None => {
                let start = number(settings.revision)?;
                (key(options.stream_identifier, false, group)?, None, start)
            }
        };
        let settings = parse(&settings).map_err(|reason| Refusal::GroupSettings {
            stream: key.source.clone(),
            group: key.group.clone(),
            reason,
        })?;
        Ok(Self { key, filter, start, settings })
    }
}

fn position(option: Option<wire::all_options::AllOption>) -> Result<From, Refusal> {
    use wire::all_options::AllOption;
    match option {
        Some(AllOption::Position(at)) => number(at.commit_position),
        Some(AllOption::Start(_)) => Ok(From::Start),
        Some(AllOption::End(_)) => Ok(From::End),
        None => Err(missing("position option")),
    }
}

/// How a group is to work, or why it cannot.
fn parse(asked: &wire::Settings) -> Result<Settings, String> {
    let message_timeout = match asked.message_timeout {
        Some(MessageTimeout::MessageTimeoutTicks(ticks)) => ticks / TICKS_OF_MILLI,
        Some(MessageTimeout::MessageTimeoutMs(millis)) => millis.into(),
        None => return Err("the message timeout is missing".to_owned()),
    };
    let checkpoint_after = match asked.checkpoint_after {
        Some(CheckpointAfter::CheckpointAfterTicks(ticks)) => ticks / TICKS_OF_MILLI,
        Some(CheckpointAfter::CheckpointAfterMs(millis)) => millis.into(),
        None => return Err("the time between checkpoints is missing".to_owned()),
    };
    let settings = Settings {
        strategy: strategy(asked)?,
        resolve_links: asked.resolve_links,
        extra_statistics: asked.extra_statistics,
        message_timeout_ms: small("message timeout", message_timeout)?,
        max_retry_count: small("number of retries", asked.max_retry_count.into())?,
        checkpoint_after_ms: small("time between checkpoints", checkpoint_after)?,
        min_checkpoint_count: small("smallest number of a checkpoint", asked.min_checkpoint_count.into())?,
        max_checkpoint_count: small("largest number of a checkpoint", asked.max_checkpoint_count.into())?,
        max_subscriber_count: small("number of consumers", asked.max_subscriber_count.into())?,
        live_buffer_size: small("live buffer", asked.live_buffer_size.into())?,
        read_batch_size: small("read batch", asked.read_batch_size.into())?,
        history_buffer_size: small("history buffer", asked.history_buffer_size.into())?,
    };
    if settings.min_checkpoint_count > settings.max_checkpoint_count {
        return Err("the smallest number of a checkpoint is above the largest".to_owned());
    }
    // It changes nothing here; a client that asks for it elsewhere would be refused.
    if settings.history_buffer_size <= settings.read_batch_size {
        return Err("the history buffer is not larger than a read batch".to_owned());
    }
    Ok(settings)
}

fn strategy(asked: &wire::Settings) -> Result<ConsumerStrategy, String> {
    if asked.consumer_strategy.is_empty() {
        return match asked.named_consumer_strategy() {
            Named::DispatchToSingle => Ok(ConsumerStrategy::DispatchToSingle),
            Named::RoundRobin => Ok(ConsumerStrategy::RoundRobin),
            Named::Pinned => Ok(ConsumerStrategy::Pinned),
        };
    }
    let known = ConsumerStrategy::ALL.iter().find(|(name, _)| *name == asked.consumer_strategy);
    known.map(|(_, strategy)| *strategy).ok_or_else(|| {
        let names = ConsumerStrategy::ALL.map(|(name, _)| name).join(", ");
        format!("the consumer strategy is none of {names}")
    })
}

fn small(what: &str, number: i64) -> Result<u32, String> {
    i32::try_from(number)
        .ok()
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| format!("the {what} is not between 0 and {}", i32::MAX))
}

fn missing(what: &str) -> Refusal {
    Refusal::Invalid(format!("the {what} is missing"))
}
