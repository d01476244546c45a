//! Reading ahead: one thread reads pages of records while another takes them in.
//!
//! For folds of long stretches, where reading from the medium and making sense of what was read take about as long as
//! each other. Records are shown in order and as stored, exactly as [`Reader::for_each`] shows them; what the visitor
//! sees does not depend on who was faster. What a crash in here means: a read failed; nothing is kept.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use prooflog_events::ids::Position;
use prooflog_events::port::{RecordBatch, SequenceError, SequenceRead, Visit};

use crate::read::Reader;

/// Records from which on a thread of its own pays; below, starting it takes longer than it saves.
const WORTH_A_THREAD: u64 = 4_096;

/// Bytes of a page: a few hundred records, so that a hand-over costs little and both threads start soon.
const PAGE_BYTES: usize = 128 << 10;

/// Pages read at most before one is taken in.
const PAGES: usize = 4;

/// Consecutive records.
struct Page {
    first: Position,
    records: RecordBatch,
}

impl<R: SequenceRead + ?Sized> Reader<'_, R> {
    /// As [`Self::for_each`], with a second thread that reads while `visit` runs on this one. For long stretches.
    ///
    /// # Errors
    /// When a record is missing or cannot be read; those before it have been shown.
    pub fn for_each_ahead(
        &self,
        from: Position,
        to: Position,
        visit: Visit<'_>,
    ) -> Result<(), SequenceError> {
        if to.0.min(self.head().position.0).saturating_sub(from.0) < WORTH_A_THREAD {
            return self.for_each(from, to, visit);
        }
        let (pages, read) = sync_channel(PAGES);
        let (used, spare) = channel();
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("read-ahead".to_owned());
            let Ok(reading) = builder.spawn_scoped(scope, move || self.read_pages(from, to, &pages, &spare))
            else {
                return self.for_each(from, to, visit);
            };
            for Page { first, mut records } in read {
                let mut positions = (first.0..).map(Position);
                let shown = records.iter().try_for_each(|stored| {
                    positions.next().map_or(ControlFlow::Break(()), |position| visit(position, stored))
                });
                if shown.is_break() {
                    // The reading thread ends when it finds that nobody listens.
                    return Ok(());
                }
                records.truncate(0);
                // The reading thread may be done already; then nobody needs the buffer.
                let _ = used.send(records);
            }
            let what = "the thread that read ahead panicked".to_owned();
            reading.join().unwrap_or(Err(SequenceError::Unavailable { what }))
        })
    }

    fn read_pages(
        &self,
        from: Position,
        to: Position,
        pages: &SyncSender<Page>,
        spare: &Receiver<RecordBatch>,
    ) -> Result<(), SequenceError> {
        let mut page = Page { first: from, records: RecordBatch::default() };
        let done = self.for_each(from, to, &mut |position, stored| {
            if page.records.is_empty() {
                page.first = position;
            }
            page.records.push(stored);
            if page.records.byte_len() < PAGE_BYTES {
                return ControlFlow::Continue(());
            }
            let records = std::mem::replace(&mut page.records, spare.try_recv().unwrap_or_default());
            match pages.send(Page { first: page.first, records }) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        // What was read before an error is shown; if nobody listens any more, nobody misses it.
        let _ = pages.send(page);
        done
    }
}
