//! What a group is: what it reads and how, as the events of the log say it.
//!
//! Creating, changing, deleting, replaying and giving up what is parked are events of one stream, in the same order and
//! chain as everything else; the groups are what a fold of them gives. Only how far consumers came is kept outside of
//! the log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use prooflog_events::ids::{EventId, Revision};
use serde::{Deserialize, Serialize};

use crate::error::{Problem, Refusal};
use crate::filter::Filtered;
use crate::limits::{GROUP_FILTER_BYTES, GROUP_NAME_BYTES, GROUP_WAITING};
use crate::request::{From, Target};
use crate::wire::client::Empty;
use crate::wire::streams::read_req::options::FilterOptions;
use crate::wire::streams::read_req::options::filter_options::{Expression, Filter as On, Window};

/// The stream that says which groups there are.
pub(crate) const CONFIG: &str = "$persistentSubscriptionConfig";
/// What the names of streams begin with that groups write for themselves.
pub(crate) const PREFIX: &str = "$persistentsubscription-";
/// How a group that reads the whole log calls that.
pub(crate) const ALL: &str = "$all";

/// Which group: what it reads, and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    /// A stream, or `$all`.
    pub(crate) source: String,
    pub(crate) group: String,
}

impl Key {
    pub(crate) fn new(source: String, group: String) -> Result<Self, Refusal> {
        if group.is_empty() || group.len() > GROUP_NAME_BYTES {
            return Err(Refusal::Invalid(format!("a group's name has 1 to {GROUP_NAME_BYTES} bytes")));
        }
        let key = Self { source, group };
        let most = prooflog_events::limits::STREAM_NAME_BYTES_MAX;
        if key.parked().len() > most {
            let text = format!(
                "the stream's and the group's name are too long: '{}-parked' is a stream of its own, and has at most {most} bytes",
                key.subscription_id()
            );
            return Err(Refusal::Invalid(text));
        }
        Ok(key)
    }

    pub(crate) fn is_all(&self) -> bool {
        self.source == ALL
    }

    /// What consumers know their subscription by.
    pub(crate) fn subscription_id(&self) -> String {
        format!("{}::{}", self.source, self.group)
    }

    /// The stream of what the group gave up.
    pub(crate) fn parked(&self) -> String {
        format!("{PREFIX}{}::{}-parked", self.source, self.group)
    }

    pub(crate) fn refuse(&self, problem: Problem) -> Refusal {
        Refusal::Group { stream: self.source.clone(), group: self.group.clone(), problem }
    }
}

/// How events are spread over a group's consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ConsumerStrategy {
    /// All to one, as long as it has room.
    DispatchToSingle,
    /// To one after the other.
    RoundRobin,
    /// Those of one stream to the same one.
    Pinned,
    /// Those of one correlation id to the same one.
    PinnedByCorrelation,
}

impl ConsumerStrategy {
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("DispatchToSingle", Self::DispatchToSingle),
        ("RoundRobin", Self::RoundRobin),
        ("Pinned", Self::Pinned),
        ("PinnedByCorrelation", Self::PinnedByCorrelation),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, strategy)| *strategy == self).map_or("", |(name, _)| name)
    }
}

/// How a group works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) resolve_links: bool,
    pub(crate) extra_statistics: bool,
    /// How long a consumer may take over an event; 0: as long as it likes.
    pub(crate) message_timeout_ms: u32,
    /// How often an event is given again before it is parked.
    pub(crate) max_retry_count: u32,
    pub(crate) checkpoint_after_ms: u32,
    pub(crate) min_checkpoint_count: u32,
    pub(crate) max_checkpoint_count: u32,
    /// 0: as many as come.
    pub(crate) max_subscriber_count: u32,
    pub(crate) live_buffer_size: u32,
    pub(crate) read_batch_size: u32,
    pub(crate) history_buffer_size: u32,
    pub(crate) strategy: ConsumerStrategy,
}

impl Settings {
    pub(crate) fn message_timeout(&self) -> Option<Duration> {
        let timeout = u64::from(self.message_timeout_ms);
        (timeout > 0).then(|| Duration::from_millis(timeout))
    }

    /// Events that may wait for a consumer who has no room, while others are given theirs.
    pub(crate) fn waiting_max(&self) -> usize {
        usize::try_from(self.live_buffer_size).unwrap_or(GROUP_WAITING).clamp(1, GROUP_WAITING)
    }
}

/// Which events of the whole log a group takes, as its creator asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streams: Option<Matching>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    types: Option<Matching>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Matching {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    regex: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<String>,
}

impl Filter {
    /// What a client asks for, if it can be used.
    pub(crate) fn parse(asked: &FilterOptions) -> Result<Self, Refusal> {
        Filtered::parse(asked)?;
        let matching = |expression: &Expression| {
            Some(Matching { regex: expression.regex.clone(), prefixes: expression.prefix.clone() })
        };
        let filter = match &asked.filter {
            Some(On::StreamIdentifier(expression)) => Self { streams: matching(expression), types: None },
            Some(On::EventType(expression)) => Self { streams: None, types: matching(expression) },
            None => Self { streams: None, types: None },
        };
        let size = serde_json::to_vec(&filter).map_or(usize::MAX, |json| json.len());
        if size > GROUP_FILTER_BYTES {
            return Err(Refusal::Invalid(format!("a group's filter has at most {GROUP_FILTER_BYTES} bytes")));
        }
        Ok(filter)
    }

    pub(crate) fn filtered(&self) -> Result<Filtered, Refusal> {
        let expression = |matching: &Matching| Expression {
            regex: matching.regex.clone(),
            prefix: matching.prefixes.clone(),
        };
        let streams = self.streams.as_ref().map(|matching| On::StreamIdentifier(expression(matching)));
        let types = self.types.as_ref().map(|matching| On::EventType(expression(matching)));
        Filtered::parse(&FilterOptions {
            checkpoint_interval_multiplier: 1,
            filter: streams.or(types),
            window: Some(Window::Count(Empty {})),
        })
    }
}

/// What happened to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Created(Created),
    Updated(Updated),
    Deleted(Key),
    ParkedReplayed(Parked),
    ParkedTruncated(Parked),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    #[serde(flatten)]
    pub(crate) key: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Filter>,
    pub(crate) start: From,
    /// The first position or revision that is delivered.
    pub(crate) from: u64,
    /// What stands in the parked stream already is an older group's.
    pub(crate) parked_from: u64,
    pub(crate) settings: Settings,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Updated {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) start: From,
    /// Counts as long as nothing was handled; after that the group goes on where it is.
    pub(crate) from: u64,
    pub(crate) settings: Settings,
}

/// Some of the parked ones, by their revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parked {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) from: u64,
    /// The first that is not one of them.
    pub(crate) to: u64,
}

const CREATED: &str = "$PersistentSubscriptionCreated";
const UPDATED: &str = "$PersistentSubscriptionUpdated";
const DELETED: &str = "$PersistentSubscriptionDeleted";
const REPLAYED: &str = "$PersistentSubscriptionParkedReplayed";
const TRUNCATED: &str = "$PersistentSubscriptionParkedTruncated";

impl Change {
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Created(_) => CREATED,
            Self::Updated(_) => UPDATED,
            Self::Deleted(_) => DELETED,
            Self::ParkedReplayed(_) => REPLAYED,
            Self::ParkedTruncated(_) => TRUNCATED,
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let json = match self {
            Self::Created(created) => serde_json::to_vec(created),
            Self::Updated(updated) => serde_json::to_vec(updated),
            Self::Deleted(key) => serde_json::to_vec(key),
            Self::ParkedReplayed(parked) | Self::ParkedTruncated(parked) => serde_json::to_vec(parked),
        };
        json.map_err(|_| Refusal::invalid("the settings cannot be written"))
    }

    /// What an event of the stream says; none if it is not one of these.
    pub(crate) fn decode(type_name: &str, json: &[u8]) -> Option<Self> {
        match type_name {
            CREATED => serde_json::from_slice(json).ok().map(Self::Created),
            UPDATED => serde_json::from_slice(json).ok().map(Self::Updated),
            DELETED => serde_json::from_slice(json).ok().map(Self::Deleted),
            REPLAYED => serde_json::from_slice(json).ok().map(Self::ParkedReplayed),
            TRUNCATED => serde_json::from_slice(json).ok().map(Self::ParkedTruncated),
            _ => None,
        }
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) key: Key,
    /// The event that created it, which names it among all that ever had its name.
    pub(crate) id: EventId,
    pub(crate) filter: Option<Filter>,
    pub(crate) start: From,
    pub(crate) from: u64,
    pub(crate) settings: Settings,
    /// Parked ones that were to be given again.
    pub(crate) replayed: Vec<Range<u64>>,
    /// Parked ones below were given again or given up.
    pub(crate) parked_from: u64,
}

/// All groups, as the stream says up to some revision.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    /// The first revision that was not looked at.
    pub(crate) next: Revision,
    pub(crate) groups: BTreeMap<Key, Definition>,
}

impl Definitions {
    /// Takes in what the event at `next` says, if it says anything known.
    pub(crate) fn apply(&mut self, id: EventId, change: Option<Change>) {
        self.next = Revision(self.next.0.saturating_add(1));
        match change {
            Some(Change::Created(Created { key, filter, start, from, parked_from, settings })) => {
                let replayed = Vec::new();
                let group = Definition { key, id, filter, start, from, settings, replayed, parked_from };
                self.groups.insert(group.key.clone(), group);
            }
            Some(Change::Updated(Updated { key, start, from, settings })) => {
                if let Some(group) = self.groups.get_mut(&key) {
                    (group.start, group.from, group.settings) = (start, from, settings);
                }
            }
            Some(Change::Deleted(key)) => drop(self.groups.remove(&key)),
            Some(Change::ParkedReplayed(Parked { key, from, to })) => {
                if let Some(group) = self.groups.get_mut(&key) {
                    group.replay(from..to);
                }
            }
            Some(Change::ParkedTruncated(Parked { key, to, .. })) => {
                if let Some(group) = self.groups.get_mut(&key) {
                    group.parked_from = group.parked_from.max(to);
                }
            }
            // Of a newer release.
            None => tracing::warn!(revision = self.next.0 - 1, "an event of {CONFIG} says nothing known"),
        }
    }
}

impl Definition {
    /// What it reads.
    pub(crate) fn target(&self) -> Result<Target, Refusal> {
        match (self.key.is_all(), &self.filter) {
            (true, Some(filter)) => Ok(Target::All(Some(filter.filtered()?))),
            (true, None) => Ok(Target::All(None)),
            (false, _) => Ok(Target::Stream(self.key.source.clone())),
        }
    }

    fn replay(&mut self, parked: Range<u64>) {
        self.parked_from = self.parked_from.max(parked.end);
        match self.replayed.last_mut() {
            Some(last) if last.end == parked.start => last.end = parked.end,
            _ => self.replayed.push(parked),
        }
    }

    /// Parked ones that were to be given again, as far as they are not below `low`.
    pub(crate) fn replayed_from(&self, low: u64) -> Vec<Range<u64>> {
        let rest = self.replayed.iter().map(|range| range.start.max(low)..range.end);
        rest.filter(|range| !range.is_empty()).collect()
    }
}
