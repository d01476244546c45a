//! Facts page by page: a second thread reads and decodes envelopes while this one reads events and folds.
//!
//! The two halves take about as long as each other, so a long fold takes little more than half of both; and what an
//! event allocates is freed by the thread that allocated it. A page that ends with a record that is not a fact says so
//! after the facts before it were seen, so an error is the same as if one thread did both.

use std::ops::ControlFlow;

use prooflog_events::envelope::Envelope;
use prooflog_events::ids::Position;
use prooflog_events::port::SequenceRead;
use prooflog_log::Stretch;
use prooflog_log::read::Reader;
use prooflog_projections::{Fact, Outline};

use crate::ReplayError;

/// Records of a page: enough that a hand-over costs little, few enough to stay in a core's cache.
const RECORDS: u32 = 256;

/// Bytes of events after which a page ends.
const BYTES: usize = 128 << 10;

/// Consecutive facts, whose events are not read yet.
#[derive(Default)]
struct Facts {
    facts: Vec<Part>,
    correlations: String,
    payloads: Vec<u8>,
    records: u32,
    failed: Option<ReplayError>,
}

/// One of them.
struct Part {
    outline: Outline,
    /// Where its correlation and its payload end in those of the page.
    correlation: usize,
    payload: usize,
}

impl Stretch for Facts {
    fn take(&mut self, position: Position, stored: &[u8]) -> ControlFlow<()> {
        self.records += 1;
        if let Err(error) = self.add(position, stored) {
            self.failed = Some(error);
        }
        let is_full = self.records >= RECORDS || self.payloads.len() >= BYTES || self.failed.is_some();
        if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn clear(&mut self) {
        self.facts.clear();
        self.correlations.clear();
        self.payloads.clear();
        self.records = 0;
        self.failed = None;
    }
}

impl Facts {
    fn add(&mut self, position: Position, stored: &[u8]) -> Result<(), ReplayError> {
        let envelope =
            Envelope::decode(stored).map_err(|source| ReplayError::Envelope { position, source })?;
        if let Some(outline) = Outline::of(&envelope)? {
            self.correlations.push_str(envelope.correlation);
            self.payloads.extend_from_slice(envelope.payload);
            let (correlation, payload) = (self.correlations.len(), self.payloads.len());
            self.facts.push(Part { outline, correlation, payload });
        }
        Ok(())
    }

    fn show(
        &mut self,
        fold: &mut dyn FnMut(&Fact<'_>) -> Result<(), ReplayError>,
    ) -> Result<(), ReplayError> {
        let (mut correlation, mut payload) = (0, 0);
        for part in &self.facts {
            let of_fact = self.correlations.get(correlation..part.correlation).unwrap_or_default();
            let of_event = self.payloads.get(payload..part.payload).unwrap_or_default();
            fold(&part.outline.fact(of_fact, of_event)?)?;
            (correlation, payload) = (part.correlation, part.payload);
        }
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
