//! Facts page by page: a second thread reads and decodes while this one folds.
//!
//! Decoding takes about as long as applying, so a long fold takes little more than the longer of the two. A page that
//! ends with a record that is not a fact says so after the facts before it were seen, so an error is the same as if one
//! thread did both.

use std::ops::ControlFlow;

use prooflog_events::ids::Position;
use prooflog_events::port::SequenceRead;
use prooflog_log::Stretch;
use prooflog_log::read::Reader;
use prooflog_projections::Fact;

use crate::{ReplayError, fact_of};

/// Facts of a page: enough that a hand-over costs little, few enough to stay in a core's cache.
const FACTS: usize = 128;

/// Records looked at for a page, so that what outside writers stored does not hold it back.
const RECORDS: u32 = 1_024;

/// Consecutive facts.
#[derive(Default)]
struct Facts {
    /// Each with the end of its correlation in `text`, where it is until somebody looks at it.
    facts: Vec<(Fact<'static>, usize)>,
    text: String,
    records: u32,
    failed: Option<ReplayError>,
}

impl Stretch for Facts {
    fn take(&mut self, position: Position, stored: &[u8]) -> ControlFlow<()> {
        self.records += 1;
        match fact_of(position, stored) {
            Ok(Some(Fact { position, stream, revision, time, correlation, event })) => {
                self.text.push_str(correlation);
                let fact = Fact { position, stream, revision, time, correlation: "", event };
                self.facts.push((fact, self.text.len()));
            }
            Ok(None) => {}
            Err(error) => self.failed = Some(error),
        }
        let is_full = self.facts.len() >= FACTS || self.records >= RECORDS || self.failed.is_some();
        if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn clear(&mut self) {
        self.facts.clear();
        self.text.clear();
        self.records = 0;
        self.failed = None;
    }
}

impl Facts {
    fn show(&mut self, fold: &mut dyn FnMut(&Fact<'_>) -> Result<(), ReplayError>) -> Result<(), ReplayError> {
        let mut facts: Vec<(Fact<'_>, usize)> = std::mem::take(&mut self.facts);
        let mut start = 0;
        let folded = facts.iter_mut().try_for_each(|(fact, end)| {
            fact.correlation = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            fold(fact)
        });
        // Nothing is left of them but their memory, which has no lifetime.
        facts.clear();
        self.facts = facts.into_iter().filter_map(|_| None).collect();
        folded?;
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// Shows every fact of `from..=to` to `fold`, in order.
///
/// # Errors
/// When a record cannot be read or understood, or `fold` refuses one.
pub fn for_each_fact<R: SequenceRead + ?Sized>(
    reader: &Reader<'_, R>,
    from: Position,
    to: Position,
    fold: &mut dyn FnMut(&Fact<'_>) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    let mut folded = Ok(());
    reader.for_each_page(from, to, &mut |page: &mut Facts| {
        folded = page.show(fold);
        if folded.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    folded
}
