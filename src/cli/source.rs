//! The log that a command looks at, and the moment that it looks at it.
//!
//! A state is defined at the end of a batch: a moment inside one is moved to the batch's end before it, and the
//! command says so on standard error.

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prooflog_events::ids::{LogId, Micros, Position};
use prooflog_events::port::{Head, SequenceRead};
use prooflog_log::read::Reader;
use prooflog_projections::State;
use prooflog_store::ReadOnlyStore;
use tempfile::TempDir;

use super::exit::CliError;
use super::{movement, output};

/// A moment of the log as an operator names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So many events before the newest.
    BeforeHead(u64),
    /// A position.
    At(Position),
    /// What was recorded up to a time, itself included.
    Time(Micros),
    /// What was recorded up to so long before now.
    Ago(Duration),
}

impl Moment {
    /// Now.
    pub(crate) const HEAD: Self = Self::BeforeHead(0);
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || no_moment(text);
        if text.ends_with("ago") {
            let span: jiff::Span = text.parse().map_err(|_| wrong())?;
            // A day is 24 hours; a month has no length that could be meant.
            let day = jiff::SpanRelativeTo::days_are_24_hours();
            return span.to_duration(day).map(|span| Self::Ago(span.unsigned_abs())).map_err(|_| wrong());
        }
        if text.contains(['T', ':']) {
            let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
            return u64::try_from(time.as_microsecond())
                .map(|micros| Self::Time(Micros(micros)))
                .map_err(|_| wrong());
        }
        match text.strip_prefix("head") {
            Some("") => Ok(Self::BeforeHead(0)),
            Some(rest) => {
                let back = rest.strip_prefix('~').and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
                Ok(Self::BeforeHead(back))
            }
            None => text.parse().map(|position| Self::At(Position(position))).map_err(|_| wrong()),
        }
    }
}

/// Why a text is no moment: a time that could be one in any time zone is told what it lacks.
fn no_moment(text: &str) -> String {
    let civil = text.contains('-').then(|| text.parse::<jiff::civil::DateTime>().ok()).flatten();
    if let Some(time) = civil {
        return format!("`{text}` names no time zone: `{time}Z` would be that time in UTC");
    }
    format!("`{text}` is no moment: a position, head, head~N, 2026-11-23T17:00:00Z, or '90m ago'")
}

/// Whether there is something that is not the directory of a log: the file of an export, or a pipe that brings one.
fn is_export(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}

/// A log, up to a moment.
pub(crate) struct Source {
    store: ReadOnlyStore,
    /// Where an export was made a log of, to be looked at; gone with this.
    _scratch: Option<TempDir>,
    head: Head,
    at: Position,
}

impl Source {
    /// Takes one look at the log in `dir`: a data directory, a backup, or the file of an export.
    pub(crate) fn open(dir: &Path, moment: Moment) -> Result<Self, CliError> {
        let scratch = if is_export(dir) { Some(scratch_of(dir)?) } else { None };
        let store = ReadOnlyStore::open(scratch.as_ref().map_or(dir, TempDir::path))?;
        let head = store.head()?;
        let mut source = Self { store, _scratch: scratch, head, at: head.position };
        source.at = source.settled(moment)?;
        Ok(source)
    }

    /// The position that a moment names; where that lies inside a batch, the end of the one before, and says so.
    pub(crate) fn settled(&self, moment: Moment) -> Result<Position, CliError> {
        let wanted = self.position_of(moment)?;
        let at = self.batch_end(wanted)?;
        if at != wanted {
            output::aside(format_args!(
                "prooflog: position {wanted} lies inside a batch; showing position {at}"
            ));
        }
        Ok(at)
    }

    /// The position that a moment names, inside a batch or not.
    pub(crate) fn position_of(&self, moment: Moment) -> Result<Position, CliError> {
        match moment {
            Moment::BeforeHead(back) => Ok(Position(self.head.position.0.saturating_sub(back))),
            Moment::At(position) if position > self.head.position => {
                let text =
                    format!("position {position} is not there: the log ends at {}", self.head.position);
                Err(CliError::Usage(text))
            }
            Moment::At(position) => Ok(position),
            Moment::Time(time) => recorded_by(&self.store, self.head, time),
            Moment::Ago(span) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let then = now.saturating_sub(span).as_micros();
                recorded_by(&self.store, self.head, Micros(u64::try_from(then).unwrap_or(u64::MAX)))
            }
        }
    }

    /// The last batch end at or below `wanted`.
    fn batch_end(&self, wanted: Position) -> Result<Position, CliError> {
        let Some(record) = self.reader().record(wanted)? else { return Ok(wanted) };
        let envelope = record.envelope()?;
        let before = Position(envelope.batch_first.0.saturating_sub(1));
        Ok(if envelope.batch_last() == wanted { wanted } else { before })
    }

    /// Reads everything that is there.
    pub(crate) const fn reader(&self) -> Reader<'_, ReadOnlyStore> {
        Reader::at(&self.store, self.head)
    }

    /// Reads what was there at the moment looked at, and nothing after it.
    pub(crate) fn past(&self) -> Reader<'_, ReadOnlyStore> {
        self.up_to(self.at)
    }

    /// The same, as a log of its own: its head is the one that the log had then.
    pub(crate) fn as_it_was(&self) -> Result<Reader<'_, ReadOnlyStore>, CliError> {
        let head = match self.reader().record(self.at)? {
            Some(record) => Head { position: self.at, hash: record.hash() },
            None => Head::empty(self.log()),
        };
        Ok(Reader::at(&self.store, head))
    }

    /// Reads what was there at a position, and nothing after it.
    pub(crate) fn up_to(&self, at: Position) -> Reader<'_, ReadOnlyStore> {
        Reader::at(&self.store, Head { position: at.min(self.head.position), hash: self.head.hash })
    }

    /// The store below.
    pub(crate) const fn store(&self) -> &ReadOnlyStore {
        &self.store
    }

    /// Identity of the log.
    pub(crate) fn log(&self) -> LogId {
        self.store.log_id()
    }

    /// The newest record.
    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    /// The moment looked at.
    pub(crate) const fn at(&self) -> Position {
        self.at
    }

    /// The state at that moment.
    pub(crate) fn state(&self) -> Result<State, CliError> {
        self.state_at(self.at)
    }

    /// The state at another moment.
    pub(crate) fn state_at(&self, at: Position) -> Result<State, CliError> {
        Ok(prooflog_replay::state_at(&self.reader(), self.log(), at)?)
    }
}

/// Refuses the file of an export where only a directory will do.
pub(crate) fn directory<'d>(dir: &'d Path, why: &str) -> Result<&'d Path, CliError> {
    if !is_export(dir) {
        return Ok(dir);
    }
    let name = dir.display();
    Err(CliError::Usage(format!(
        "{name} is a file: {why}; --data-dir names the directory of a log, and `prooflog import` makes one of an export"
    )))
}

/// A log made of an export, everything checked as it is read.
fn scratch_of(export: &Path) -> Result<TempDir, CliError> {
    let scratch = tempfile::Builder::new().prefix("prooflog-export-").tempdir();
    let scratch = scratch.map_err(CliError::io("a scratch directory for the export"))?;
    movement::import_into(scratch.path(), export)?;
    Ok(scratch)
}

/// The last position recorded at or before `time`. Recorded time never decreases, so halving finds it.
fn recorded_by(store: &ReadOnlyStore, head: Head, time: Micros) -> Result<Position, CliError> {
    let reader = Reader::at(store, head);
    let (mut low, mut high) = (0, head.position.0);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let record = reader.record(Position(middle))?;
        let is_later = match &record {
            Some(record) => record.envelope()?.recorded_at > time,
            None => true,
        };
        if is_later { high = middle - 1 } else { low = middle }
    }
    Ok(Position(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_positions_or_counted_from_the_head() {
        assert_eq!("12".parse(), Ok(Moment::At(Position(12))));
        assert_eq!("head".parse(), Ok(Moment::BeforeHead(0)));
        assert_eq!("head~3".parse(), Ok(Moment::BeforeHead(3)));
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(Moment::Time(Micros(1_000_000))));
        assert_eq!("90m ago".parse(), Ok(Moment::Ago(Duration::from_secs(5_400))));
        for wrong in
            ["", "-1", "head~", "head~x", "heads", "1.5", "ago", "x ago", "T", ":", "1969-01-01T00:00:00Z"]
        {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_and_weeks_ago_are_so_many_hours_and_a_month_is_not() {
        let hours = |hours: u64| Ok(Moment::Ago(Duration::from_secs(hours * 3_600)));
        for (text, ago) in [("2d ago", 48), ("1 day ago", 24), ("2w ago", 336), ("1d 6h ago", 30)] {
            assert_eq!(text.parse(), hours(ago), "{text}");
        }
        for wrong in ["1 month ago", "1y ago"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_the_same_in_every_zone_and_none_without_one() {
        let utc = "2025-10-26T01:30:00Z".parse::<Moment>();
        assert!(utc.is_ok());
        // The second time that this hour is shown on the wall, in the night in which clocks are set back.
        for same in ["2025-10-26 01:30:00Z", "2025-10-26T02:30:00+01:00", "2025-10-26t01:30:00z"] {
            assert_eq!(same.parse(), utc, "{same}");
        }
        assert_ne!("2025-10-26T02:30:00+02:00".parse(), utc);
        for (text, hint) in [
            ("2025-10-26T02:30:00", "2025-10-26T02:30:00Z"),
            ("2025-10-26 02:30", "2025-10-26T02:30:00Z"),
            ("2025-10-26", "2025-10-26T00:00:00Z"),
        ] {
            let why = text.parse::<Moment>().err().unwrap_or_default();
            assert!(why.contains("no time zone") && why.contains(hint), "{why}");
        }
        assert_eq!("20251026".parse(), Ok(Moment::At(Position(20_251_026))));
    }

    proptest! {
        #[test]
        fn any_text_is_a_moment_or_none(
            text in ".{0,60}|(head)?~?[0-9]{0,25}|[0-9.hmsdw -]{0,40}ago|[0-9+:.TZ-]{0,40}(\\[[A-Za-z/]{0,20}\\])?",
        ) {
            let _ = text.parse::<Moment>();
        }

        #[test]
        fn a_position_and_a_distance_come_back(number: u64) {
            prop_assert_eq!(number.to_string().parse(), Ok(Moment::At(Position(number))));
            prop_assert_eq!(format!("head~{number}").parse(), Ok(Moment::BeforeHead(number)));
        }

        #[test]
        fn a_time_and_a_span_are_what_they_say(seconds in 0_u32.., minutes in 0_u32..10_000_000) {
            let time = output::time(Micros(u64::from(seconds) * 1_000_000));
            prop_assert_eq!(time.parse(), Ok(Moment::Time(Micros(u64::from(seconds) * 1_000_000))));
            let ago = Duration::from_secs(u64::from(minutes) * 60);
            prop_assert_eq!(format!("{minutes}m ago").parse(), Ok(Moment::Ago(ago)));
        }
    }
}
