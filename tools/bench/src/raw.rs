//! The yardstick: RocksDB used directly, without streams, revisions, hashes, checks or answers.
//!
//! It writes what any log on RocksDB must write (a record by its position, an index entry by stream and revision) with
//! the settings that the log's own store has where they matter for writing.

use std::path::Path;

use prooflog_events::ids::Position;
use rocksdb::{
    ColumnFamilyDescriptor, DB, DBCompressionType, Options, ReadOptions, WriteBatch, WriteOptions,
};

use crate::Outcome;

const RECORDS: &str = "records";
const STREAMS: &str = "streams";

/// A database with a record and an index family.
pub(crate) struct Raw {
    db: DB,
    position: u64,
}

impl Raw {
    pub(crate) fn create(dir: &Path) -> Outcome<Self> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_total_wal_size(48 << 20);
        options.set_db_write_buffer_size(64 << 20);
        options.set_bytes_per_sync(1 << 20);
        options.set_max_background_jobs(2);
        options.set_enable_write_thread_adaptive_yield(false);
        let mut family = Options::default();
        family.set_compression_type(DBCompressionType::Lz4);
        family.set_write_buffer_size(32 << 20);
        let families = [RECORDS, STREAMS].map(|name| ColumnFamilyDescriptor::new(name, family.clone()));
        Ok(Self { db: DB::open_cf_descriptors(&options, dir, families)?, position: 0 })
    }

    /// Writes a record of each of these streams in one synced batch.
    pub(crate) fn append(&mut self, streams: &[String], payload: &[u8]) -> Outcome<()> {
        let family = |name| self.db.cf_handle(name).ok_or("a column family is missing");
        let (records, index) = (family(RECORDS)?, family(STREAMS)?);
        let mut batch = WriteBatch::default();
        for stream in streams {
            self.position += 1;
            let position = self.position.to_be_bytes();
            batch.put_cf(records, position, payload);
            let mut key = stream.as_bytes().to_vec();
            key.extend_from_slice(&position);
            batch.put_cf(index, key, position);
        }
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(self.db.write_opt(batch, &synced)?)
    }
}

/// The database of a log, opened for one look without any of the log's own code.
pub(crate) fn open_log(dir: &Path) -> Outcome<DB> {
    let mut options = Options::default();
    options.set_max_open_files(256);
    options.set_skip_stats_update_on_db_open(true);
    // All of them: RocksDB applies what stands in the log to families that nobody opened, too, and may crash over it.
    let families = DB::list_cf(&options, dir.join("db"))?;
    Ok(DB::open_cf_for_read_only(&options, dir.join("db"), families, false)?)
}

/// Walks all records of a log's database; answers their number and bytes.
pub(crate) fn scan(db: &DB) -> Outcome<(u64, u64)> {
    scan_to(db, Position(u64::MAX))
}

/// Walks the records up to `to`.
pub(crate) fn scan_to(db: &DB, to: Position) -> Outcome<(u64, u64)> {
    let records = db.cf_handle(RECORDS).ok_or("the log has no records")?;
    let mut options = ReadOptions::default();
    options.set_readahead_size(2 << 20);
    options.fill_cache(false);
    let mut iterator = db.raw_iterator_cf_opt(records, options);
    iterator.seek_to_first();
    let (mut events, mut bytes) = (0_u64, 0_u64);
    while let Some((key, value)) = iterator.item().filter(|_| events < to.0) {
        events += 1;
        bytes += (key.len() + value.len()) as u64;
        iterator.next();
    }
    iterator.status()?;
    Ok((events, bytes))
}

/// Reads the record at `position` once; answers its bytes.
pub(crate) fn get(db: &DB, position: Position) -> Outcome<usize> {
    let records = db.cf_handle(RECORDS).ok_or("the log has no records")?;
    Ok(db.get_pinned_cf(records, position.0.to_be_bytes())?.map_or(0, |stored| stored.len()))
}
