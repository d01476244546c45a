//! What a stream's name says: whose it is, and what it is made of.
//!
//! The engine's streams belong to the engine for ever, and so do their metadata. Link streams are computed. Names that
//! begin with `$` are the system's; `$$x` holds the metadata of `x`.

use prooflog_events::ids::ENGINE_PREFIXES;
use prooflog_events::limits::STREAM_NAME_BYTES_MAX;

use crate::authority::Caller;
use crate::error::Refusal;
use crate::groups;

/// Beginnings of names that are computed or kept for it.
const COMPUTED: [&str; 5] = ["$ce-", "$et-", "$category-", "$bc-", "$idx-"];
const STREAMS: &str = "$streams";
/// Beginnings of names that persistent subscriptions keep for themselves.
const OF_GROUPS: [&str; 2] = [groups::CONFIG, groups::PREFIX];

/// A stream of links, computed from the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LinkStream {
    /// `$ce-<category>`: events of the streams whose name begins with the category and a `-`.
    Category(String),
    /// `$et-<type>`: events of one type.
    Type(String),
    /// `$streams`: the first event of every stream.
    Streams,
}

impl LinkStream {
    /// The link stream of that name, if it is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let rest = |prefix| name.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty());
        match name {
            STREAMS => Some(Self::Streams),
            _ => rest("$ce-")
                .map(|category| Self::Category(category.to_owned()))
                .or_else(|| rest("$et-").map(|kind| Self::Type(kind.to_owned()))),
        }
    }
}

impl std::fmt::Display for LinkStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Category(category) => write!(f, "$ce-{category}"),
            Self::Type(kind) => write!(f, "$et-{kind}"),
            Self::Streams => f.write_str(STREAMS),
        }
    }
}

/// The stream that `name` holds the metadata of.
pub(crate) fn described_by(name: &str) -> Option<&str> {
    name.strip_prefix("$$").filter(|rest| !rest.is_empty())
}

/// The stream that holds the metadata of `name`.
pub(crate) fn metadata_of(name: &str) -> String {
    format!("$${name}")
}

/// Whether the stream, or what it describes, is the engine's.
pub(crate) fn is_engines(name: &str) -> bool {
    let base = described_by(name).unwrap_or(name);
    ENGINE_PREFIXES.iter().any(|prefix| base.starts_with(prefix))
}

/// Whether the stream can have metadata and be deleted: streams of outside writers, and no metadata themselves.
pub(crate) fn has_metadata(name: &str) -> bool {
    described_by(name).is_none() && !is_engines(name) && LinkStream::parse(name).is_none()
}

/// A stream's name as a client sends it.
pub(crate) fn decode(name: &[u8]) -> Result<String, Refusal> {
    if name.len() > STREAM_NAME_BYTES_MAX {
        let text = format!("a stream's name has at most {STREAM_NAME_BYTES_MAX} bytes");
        return Err(Refusal::Invalid(text));
    }
    match std::str::from_utf8(name) {
        Ok("" | "$$") => Err(Refusal::Invalid("the stream's name is empty".to_owned())),
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(Refusal::Invalid("the stream's name is not UTF-8".to_owned())),
    }
}

/// Whether `caller` may write to `name`, where outside writers have the streams that begin with `own` (all, if empty).
pub(crate) fn may_write(caller: &Caller, name: &str, own: &[String]) -> bool {
    let base = described_by(name).unwrap_or(name);
    let is_computed = base == STREAMS || COMPUTED.iter().any(|prefix| base.starts_with(prefix));
    let is_of_groups = OF_GROUPS.iter().any(|prefix| base.starts_with(prefix));
    let is_own = own.is_empty() || own.iter().any(|prefix| base.starts_with(prefix));
    match base.starts_with('$') {
        _ if !caller.may_write() || is_engines(name) || is_computed || is_of_groups => false,
        true => caller.may_administer(),
        false => is_own,
    }
}
