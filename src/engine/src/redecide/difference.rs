//! Where today's rules decide something else than was recorded, event by event.
//!
//! Events are paired by stream and type, so that one that is new or missing does not make all after it differ. What a
//! crash in here means: nothing was changed.

use prooflog_core::{DecideError, NewEvent};
use prooflog_events::event::EventType;
use prooflog_events::ids::{ChainId, Position, StreamId};

use super::recorded::{RecordedBatch, Writer};

/// One event of a decision, as recorded and as decided today. At least one of them is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where the recorded event stands; `None` for one that was not recorded.
    pub position: Option<Position>,
    /// The recorded event; `None` for one that only today's rules decide.
    pub recorded: Option<NewEvent>,
    /// The event decided today; `None` for one that was only decided then.
    pub today: Option<NewEvent>,
}

impl Row {
    fn both(position: Position, recorded: &NewEvent, today: Option<&NewEvent>) -> Self {
        Self { position: Some(position), recorded: Some(recorded.clone()), today: today.cloned() }
    }

    /// Either event, the recorded one first.
    #[must_use]
    pub fn event(&self) -> Option<&NewEvent> {
        self.recorded.as_ref().or(self.today.as_ref())
    }

    /// Whether both decided the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.recorded == self.today
    }

    /// Whether another decision on the same input deviates from the record in the same way. Revisions do not count:
    /// what one of them adds before it moves them.
    pub(super) fn deviates_as(&self, other: &Self) -> bool {
        let content = |row: &Self| {
            row.today.as_ref().map(|new| (new.stream, new.event.clone(), new.correlation.clone()))
        };
        self.position == other.position && content(self) == content(other)
    }

    /// Type of the event that differs. `None` where nothing does but the revision: an event before it on the same
    /// stream is new or missing.
    #[must_use]
    pub fn differing(&self) -> Option<EventType> {
        if let (Some(old), Some(new)) = (&self.recorded, &self.today) {
            let content = |of: &NewEvent| (of.stream, of.event.clone(), of.correlation.clone());
            if content(old) == content(new) {
                return None;
            }
        }
        self.event().map(|event| event.event.event_type())
    }
}

/// A decision that today's rules make otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The first event that differs; the batch's last where today's rules add to it.
    pub position: Position,
    /// What was recorded, with its input.
    pub batch: RecordedBatch,
    /// The program that decided it.
    pub writer: Writer,
    /// Why today's rules do not decide it at all, if they do not.
    pub failed: Option<String>,
    /// Whether that is a bug of today's rules and no refusal.
    pub is_bug: bool,
    /// Both decisions side by side.
    pub rows: Vec<Row>,
}

impl Difference {
    /// What today's rules make of a batch otherwise than its writer did.
    pub(super) fn of(
        batch: RecordedBatch,
        writer: Writer,
        today: Result<Vec<NewEvent>, DecideError>,
    ) -> Self {
        let is_bug = matches!(today, Err(DecideError::Bug(_)));
        let (today, failed) = match today {
            Ok(events) => (events, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let position = first_difference(&batch, &today);
        Self { position, rows: rows(&batch, &today), writer, batch, failed, is_bug }
    }

    /// The rollup whose decision differs first; `None` for what belongs to no single one.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        let row = self.rows.iter().find(|row| !row.is_same())?;
        match row.event()?.stream {
            StreamId::Chain(chain) => Some(chain),
            StreamId::Unit(unit) => Some(unit.chain),
            StreamId::Node | StreamId::Tx(_) | StreamId::Signer(_) => None,
        }
    }
}

/// The first recorded position that differs.
fn first_difference(batch: &RecordedBatch, today: &[NewEvent]) -> Position {
    let same = batch.events.iter().zip(today).take_while(|(old, new)| old == new).count() as u64;
    Position(batch.first.0.saturating_add(same)).min(batch.last())
}

/// Both decisions side by side, in the order of the record; what is new today stands after what it follows.
pub(super) fn rows(batch: &RecordedBatch, today: &[NewEvent]) -> Vec<Row> {
    let paired = pair(batch, today);
    // The same events in another order: pairing hides it, places do not.
    if paired.iter().all(Row::is_same) { by_place(batch, today) } else { paired }
}

fn pair(batch: &RecordedBatch, today: &[NewEvent]) -> Vec<Row> {
    let mut left: Vec<Option<&NewEvent>> = today.iter().map(Some).collect();
    let mut rows = Vec::with_capacity(batch.events.len());
    for (position, old) in (batch.first.0..).map(Position).zip(&batch.events) {
        let fits =
            |new: &NewEvent| new.stream == old.stream && new.event.event_type() == old.event.event_type();
        let found = left.iter_mut().find(|slot| slot.is_some_and(fits)).and_then(Option::take);
        rows.push(Row::both(position, old, found));
    }
    let new = left.into_iter().flatten();
    rows.extend(new.map(|new| Row { position: None, recorded: None, today: Some(new.clone()) }));
    rows
}

fn by_place(batch: &RecordedBatch, today: &[NewEvent]) -> Vec<Row> {
    let places = (batch.first.0..).map(Position).zip(&batch.events).zip(today);
    places.map(|((position, old), new)| Row::both(position, old, Some(new))).collect()
}
