//! What a Read call asks for, checked.
//!
//! Every combination that means something is taken, and no other. What a crash means: the call ends; nothing is kept.

use prooflog_events::port::Direction;
use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use crate::filter::{Filtered, Wanted};
use crate::names;
use crate::show::{IdForm, Links};
use crate::wire::streams::ReadReq;
use crate::wire::streams::read_req::Options;
use crate::wire::streams::read_req::options::{
    self, AllOptions, CountOption, FilterOption, ReadDirection, StreamOption, StreamOptions,
};

/// What is to be read.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Stream(String),
    All(Option<Filtered>),
}

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum From {
    Start,
    End,
    /// A revision, or a position.
    At(u64),
}

/// How far a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// At most so many events, and nothing that comes later.
    Count(u64),
    /// For ever.
    Followed,
}

/// A read.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) target: Target,
    pub(crate) from: From,
    pub(crate) direction: Direction,
    pub(crate) until: Until,
    pub(crate) ids: IdForm,
    pub(crate) links: Links,
    /// The client understands where a stream ends.
    pub(crate) tells_ends: bool,
}

impl Request {
    pub(crate) fn parse(request: ReadReq) -> Result<Self, Refusal> {
        let options = request.options.ok_or_else(|| missing("options"))?;
        let until = match &options.count_option {
            Some(CountOption::Count(count)) => Until::Count(*count),
            Some(CountOption::Subscription(_)) => Until::Followed,
            None => return Err(missing("count option")),
        };
        let direction = match ReadDirection::try_from(options.read_direction) {
            Ok(ReadDirection::Forwards) => Direction::Forward,
            Ok(ReadDirection::Backwards) if until != Until::Followed => Direction::Backward,
            _ => return Err(Refusal::invalid("the direction cannot be used")),
        };
        let (target, from) = target(&options)?;
        let ids = IdForm::asked(options.uuid_option.as_ref().ok_or_else(|| missing("uuid option"))?);
        let links = if options.resolve_links { Links::Resolved } else { Links::Plain };
        let tells_ends = options.control_option.is_some_and(|control| control.compatibility >= 1);
        Ok(Self { target, from, direction, until, ids, links, tells_ends })
    }
}

fn target(options: &Options) -> Result<(Target, From), Refusal> {
    let filter = match &options.filter_option {
        Some(FilterOption::Filter(filter)) => Some(filter),
        Some(FilterOption::NoFilter(_)) => None,
        None => return Err(missing("filter option")),
    };
    match (&options.stream_option, filter) {
        (Some(StreamOption::Stream(stream)), None) => {
            let name = stream.stream_identifier.as_ref().ok_or_else(|| missing("stream identifier"))?;
            Ok((Target::Stream(names::decode(&name.stream_name)?), revision(stream)?))
        }
        (Some(StreamOption::Stream(_)), Some(_)) => {
            Err(Refusal::invalid("a stream is read without a filter"))
        }
        (Some(StreamOption::All(all)), filter) => {
            let filter = filter.map(Filtered::parse).transpose()?;
            Ok((Target::All(filter), position(all)?))
        }
        (None, _) => Err(missing("stream option")),
    }
}

pub(crate) fn revision(stream: &StreamOptions) -> Result<From, Refusal> {
    use options::stream_options::RevisionOption;
    match stream.revision_option {
        Some(RevisionOption::Revision(revision)) => number(revision),
        Some(RevisionOption::Start(_)) => Ok(From::Start),
        Some(RevisionOption::End(_)) => Ok(From::End),
        None => Err(missing("revision option")),
    }
}

fn position(all: &AllOptions) -> Result<From, Refusal> {
    use options::all_options::AllOption;
    match all.all_option {
        Some(AllOption::Position(at)) if at.commit_position < at.prepare_position => {
            Err(Refusal::invalid("the commit position is below the prepare position"))
        }
        Some(AllOption::Position(at)) => number(at.commit_position),
        Some(AllOption::Start(_)) => Ok(From::Start),
        Some(AllOption::End(_)) => Ok(From::End),
        None => Err(missing("position option")),
    }
}

/// A place as a number: the largest one is the end.
pub(crate) fn number(number: u64) -> Result<From, Refusal> {
    match i64::try_from(number) {
        Ok(_) => Ok(From::At(number)),
        Err(_) if number == u64::MAX => Ok(From::End),
        Err(_) => Err(Refusal::invalid("a revision or position is too large")),
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::Invalid(format!("the {what} is missing"))
}

impl Target {
    /// What is wanted of the whole log.
    pub(crate) fn wanted(filter: Option<&Filtered>) -> Wanted {
        filter.map_or(Wanted::Everything, |filter| filter.wanted.clone())
    }
}
