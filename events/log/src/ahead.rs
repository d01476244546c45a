//! Reading ahead: one thread reads pages of records while another takes them in.
//!
//! For folds of long stretches, where reading from the medium and making sense of what was read take about as long as
//! each other. A [`Stretch`] says what the reading thread makes of each record, so that the work can be shared evenly.
//! Records are shown in order and as stored, exactly as [`Reader::for_each`] shows them; what the visitor sees does not
//! depend on who was faster. What a crash in here means: a read failed; nothing is kept.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use prooflog_events::ids::Position;
use prooflog_events::port::{RecordBatch, SequenceError, SequenceRead, Visit};

use crate::read::Reader;

/// Records from which on a thread of its own pays; below, starting it takes longer than it saves.
const WORTH_A_THREAD: u64 = 512;

/// Bytes of a page of records: a few hundred, so that a hand-over costs little and both threads start soon.
const PAGE_BYTES: usize = 128 << 10;

/// Pages read at most before one is taken in.
const PAGES: usize = 4;

/// What is made of consecutive records where they are read; it is handed over as a whole, a page.
pub trait Stretch: Default + Send {
    /// Takes a record in. `Break` hands the page over.
    fn take(&mut self, position: Position, stored: &[u8]) -> ControlFlow<()>;

    /// Forgets everything but its memory, which is used again.
    fn clear(&mut self);
}

/// Consecutive records as they are stored.
#[derive(Default)]
struct Records {
    first: Position,
    records: RecordBatch,
}

impl Stretch for Records {
    fn take(&mut self, position: Position, stored: &[u8]) -> ControlFlow<()> {
        if self.records.is_empty() {
            self.first = position;
        }
        self.records.push(stored);
        if self.records.byte_len() < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn clear(&mut self) {
        self.records.truncate(0);
    }
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
        if !self.is_worth_a_thread(from, to) {
            return self.for_each(from, to, visit);
        }
        self.for_each_page(from, to, &mut |page: &mut Records| {
            let mut positions = (page.first.0..).map(Position);
            page.records.iter().try_for_each(|stored| {
                positions.next().map_or(ControlFlow::Break(()), |position| visit(position, stored))
            })
        })
    }

    /// Shows the records of `from..=to` page by page, in order. A second thread fills the pages while `visit` runs on
    /// this one; a short stretch is read here.
    ///
    /// # Errors
    /// When a record is missing or cannot be read; those before it have been shown.
    pub fn for_each_page<P: Stretch>(
        &self,
        from: Position,
        to: Position,
        visit: &mut dyn FnMut(&mut P) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        if !self.is_worth_a_thread(from, to) {
            return self.pages_here(from, to, visit);
        }
        let (pages, read) = sync_channel(PAGES);
        let (used, spare) = channel();
        thread::scope(|scope| {
            let builder = thread::Builder::new().name("read-ahead".to_owned());
            let Ok(reading) = builder.spawn_scoped(scope, move || self.send_pages(from, to, &pages, &spare))
            else {
                return self.pages_here(from, to, visit);
            };
            for mut page in read {
                if visit(&mut page).is_break() {
                    // The reading thread ends when it finds that nobody listens.
                    return Ok(());
                }
                page.clear();
                // The reading thread may be done already; then nobody needs the page.
                let _ = used.send(page);
            }
            let what = "the thread that read ahead panicked".to_owned();
            reading.join().unwrap_or(Err(SequenceError::Unavailable { what }))
        })
    }

    fn is_worth_a_thread(&self, from: Position, to: Position) -> bool {
        to.0.min(self.head().position.0).saturating_sub(from.0) >= WORTH_A_THREAD
    }

    fn send_pages<P: Stretch>(
        &self,
        from: Position,
        to: Position,
        pages: &SyncSender<P>,
        spare: &Receiver<P>,
    ) -> Result<(), SequenceError> {
        self.fill_pages(from, to, &mut |page: &mut P| {
            // If nobody listens any more, nobody misses it.
            let full = std::mem::replace(page, spare.try_recv().unwrap_or_default());
            pages.send(full).map_or(ControlFlow::Break(()), ControlFlow::Continue)
        })
    }

    fn pages_here<P: Stretch>(
        &self,
        from: Position,
        to: Position,
        visit: &mut dyn FnMut(&mut P) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        self.fill_pages(from, to, &mut |page: &mut P| {
            let done = visit(page);
            page.clear();
            done
        })
    }

    /// Fills pages and hands each to `full`, which leaves an empty one; the last even if it is not full, and before an
    /// error what was read up to it.
    fn fill_pages<P: Stretch>(
        &self,
        from: Position,
        to: Position,
        full: &mut dyn FnMut(&mut P) -> ControlFlow<()>,
    ) -> Result<(), SequenceError> {
        let mut page = P::default();
        let mut open = true;
        let done = self.for_each(from, to, &mut |position, stored| {
            if page.take(position, stored).is_break() {
                open = full(&mut page).is_continue();
            }
            if open { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if open {
            let _ = full(&mut page);
        }
        done
    }
}
