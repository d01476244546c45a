//! Taking rows over: their proofs are stored, and the rule decides what becomes of them, batch by batch.
//!
//! A batch is durable before the next begins, and the rule is asked again on the state that it left: what did not fit, or
//! rests on what came before, has its turn then. What a crash means: whole batches are there, and perhaps proofs that no
//! event names yet; the next import goes on with the rest.

use prooflog_core::Pacing;
use prooflog_core::import::{Verdict, sort};
use prooflog_engine::{Fed, Origin, Ring, RingError};
use prooflog_events::envelope::blob_hash;
use prooflog_events::ids::{Hash32, LogId};
use prooflog_events::input::{
    EngineClosing, ImportedProgress, ImportedRow, ImportedSubject, Input, RowsImported,
};
use prooflog_events::limits::BLOB_INLINE_BYTES_MAX;
use prooflog_events::port::Blob;
use prooflog_events::values::BlobRef;
use prooflog_import::Database;
use prooflog_log::{By, Log};
use prooflog_store::{OpenOptions, RocksStore};

use super::super::exit::CliError;
use super::world::World;
use crate::run::{now, random, started};

/// Rows in one input: with a few events each they fit into a batch, and their proofs are not held in memory together.
const ROWS_PER_INPUT: usize = 40;
/// Bytes of small proofs that go with one batch.
const INLINE_MAX: usize = 512 << 10;

/// Takes over every row that the rule takes. Ends when it takes none any more.
pub(super) fn take(
    world: &World,
    database: &mut Database,
    mut rows: Vec<ImportedRow>,
) -> Result<(), CliError> {
    let options = OpenOptions::or_create(LogId(random()?));
    let (store, _) = prooflog_store::open(&world.data_dir, options)?;
    let imported = |rows, started| {
        let source = database.source().to_owned();
        Input::from(RowsImported { started, chain: world.chain, source, rows })
    };
    let opened = imported(Vec::new(), Some(started(world.digest)));
    let (ring, fed) = Ring::open_with(Log::open(store)?, Pacing::default(), now(), &opened, by())?;
    durable(fed)?;
    let mut taking = Taking { ring, taken: 0 };
    for input in world.first() {
        taking.feed(&input, by())?;
    }
    let source = database.source();
    loop {
        let next = taking.next(world, &mut rows);
        if next.is_empty() {
            break;
        }
        let (next, origin) = taking.fetch(database, next)?;
        let input =
            RowsImported { started: None, chain: world.chain, source: source.to_owned(), rows: next.clone() };
        if !taking.feed(&input.into(), origin)? {
            let text =
                "a row that could be taken was not; what was taken is taken, and the import can be run again";
            return Err(CliError::Bug(text.to_owned()));
        }
        // What did not fit into the batch is asked for again.
        rows.extend(next);
    }
    let reason = format!("import from {source}: {} events", taking.taken);
    taking.feed(&EngineClosing { reason }.into(), by())?;
    Ok(())
}

fn by() -> Origin {
    Origin { by: By::Import, ..Origin::default() }
}

fn durable(fed: Fed) -> Result<bool, CliError> {
    match fed.ticket {
        Some(ticket) => {
            ticket.wait().map_err(RingError::Append)?;
            Ok(true)
        }
        None => Ok(false),
    }
}

struct Taking {
    ring: Ring<RocksStore>,
    /// Events that rows became.
    taken: usize,
}

impl Taking {
    /// Decides on an input and waits until what follows is durable. Whether anything follows.
    fn feed(&mut self, input: &Input, origin: Origin) -> Result<bool, CliError> {
        let fed = self.ring.feed(now(), input, origin)?;
        if matches!(input, Input::RowsImported(_)) {
            self.taken += fed.events.len();
        }
        durable(fed)
    }

    /// Takes the rows out that are next: those that are only kept, then spans, then aggregates. Rows of which nothing
    /// becomes any more are dropped.
    fn next(&self, world: &World, rows: &mut Vec<ImportedRow>) -> Vec<ImportedRow> {
        let Some(chain) = self.ring.state().chains.get(&world.chain) else { return Vec::new() };
        let verdicts = sort(chain, rows);
        let mut ranked: Vec<(u8, ImportedRow)> = std::mem::take(rows)
            .into_iter()
            .zip(verdicts)
            .filter_map(|(row, verdict)| Some((rank(&row, &verdict)?, row)))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        // Rows of one rank only: a later rank rests on what the ones before became.
        let first = ranked.first().map(|(rank, _)| *rank);
        let many = ranked.iter().take_while(|(rank, _)| Some(*rank) == first).count().min(ROWS_PER_INPUT);
        let rest = ranked.split_off(many);
        rows.extend(rest.into_iter().map(|(_, row)| row));
        ranked.into_iter().map(|(_, row)| row).collect()
    }

    /// Reads and stores the proofs of rows, and names them.
    fn fetch(
        &self,
        database: &mut Database,
        rows: Vec<ImportedRow>,
    ) -> Result<(Vec<ImportedRow>, Origin), CliError> {
        let mut origin = by();
        let mut inline = 0;
        let mut ready = Vec::with_capacity(rows.len());
        for mut row in rows {
            let is_agg = matches!(row.subject, ImportedSubject::Agg { .. });
            if let ImportedProgress::Proven { proof, selector, .. } = &mut row.progress
                && !proof.is_empty()
            {
                let bytes = database.proof(row.row)?;
                *selector = is_agg.then(|| bytes.first_chunk().copied()).flatten();
                *proof = BlobRef { sha256: blob_hash(&bytes), length: bytes.len() as u64 };
                if bytes.len() <= BLOB_INLINE_BYTES_MAX && inline + bytes.len() <= INLINE_MAX {
                    inline += bytes.len();
                    origin.blobs.push(Blob { hash: proof.sha256, bytes });
                } else {
                    let stored: Hash32 = self.ring.log().put_blob(bytes).map_err(RingError::Append)?;
                    origin.stored.push(stored);
                }
            }
            ready.push(row);
        }
        Ok((ready, origin))
    }
}

/// The order in which rows are taken; `None` if nothing becomes of one.
const fn rank(row: &ImportedRow, verdict: &Verdict) -> Option<u8> {
    match (verdict, row.subject) {
        (Verdict::Left(_), _) => None,
        (Verdict::Kept, _) => Some(0),
        (_, ImportedSubject::Span { .. }) => Some(1),
        (_, ImportedSubject::Agg { .. }) => Some(2),
    }
}
