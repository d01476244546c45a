//! How RocksDB is set up for this log, each setting with its reason.
//!
//! The use: one writer, synced commits of small records in order of position, one index entry per record, blobs of up
//! to megabytes that are written once and deleted in order of age, scans from end to end, and an open that is quick
//! and small with ten million records. What is not set here keeps RocksDB's default.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    LogLevel, Options, SliceTransform,
};

use crate::keys;

/// Bytes of write-ahead log that may wait to be flushed: what an open after a crash has to replay, twice (a look first).
pub(crate) const WAL_BYTES_MAX: u64 = 32 << 20;

/// Bytes of all write buffers together.
const WRITE_BUFFERS_BYTES: usize = 64 << 20;

/// Bytes of the one cache, index and filter blocks included.
const CACHE_BYTES: usize = 32 << 20;

/// For what a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To be made.
    Create,
    /// For writing, with this treatment of the write-ahead log.
    Write(DBRecoveryMode),
    /// For one look, with this treatment of the write-ahead log.
    Read(DBRecoveryMode),
    /// For following another process.
    Follow,
}

/// Settings of the database as a whole.
pub(crate) fn database(mode: Mode) -> Options {
    let mut o = Options::default();
    o.create_if_missing(mode == Mode::Create);
    o.create_missing_column_families(mode == Mode::Create);
    o.set_error_if_exists(mode == Mode::Create);
    if let Mode::Write(recovery) | Mode::Read(recovery) = mode {
        // The default mode opens silently at the first bit that is wrong in the middle of the write-ahead log.
        o.set_wal_recovery_mode(recovery);
    }
    // A write-ahead log that is gone as a whole leaves no torn end behind; the manifest knows that it was there.
    o.set_track_and_verify_wals_in_manifest(true);
    // With several column families the oldest unflushed one keeps every later log alive; this flushes it.
    o.set_max_total_wal_size(WAL_BYTES_MAX);
    // Bounds memory whatever the column families ask for.
    o.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
    // Open files cost memory each, and opening them all is what makes an open slow. A follower must hold on to files
    // that the writer deletes.
    o.set_max_open_files(if mode == Mode::Follow { -1 } else { 256 });
    // Reads every file at open for statistics that only tune compaction.
    o.set_skip_stats_update_on_db_open(true);
    // Background writing goes out in steps, so that the sync of a commit does not wait behind a whole file.
    o.set_bytes_per_sync(1 << 20);
    // One flush and one compaction at a time: the machine also decides, proves and serves.
    o.set_max_background_jobs(2);
    // There is one writer, so nothing is won by spinning for other writers of the same group.
    o.set_enable_write_thread_adaptive_yield(false);
    // Deleting large files is not done by whoever happens to drop the last iterator over them.
    o.set_avoid_unnecessary_blocking_io(true);
    // The manifest is replayed at open; the default lets it grow to a gigabyte.
    o.set_max_manifest_file_size(8 << 20);
    // The info log is for a person with a problem: small, few, and without periodic dumps that wake an idle disk.
    o.set_keep_log_file_num(4);
    o.set_max_log_file_size(1 << 20);
    o.set_log_level(LogLevel::Warn);
    o.set_stats_dump_period_sec(0);
    o.set_stats_persist_period_sec(0);
    o
}

/// The column families, sharing one cache.
pub(crate) fn families() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(CACHE_BYTES);
    let family = |name: &str, options: Options| ColumnFamilyDescriptor::new(name, options);
    vec![
        family(rocksdb::DEFAULT_COLUMN_FAMILY_NAME, small(&cache)),
        family(keys::RECORDS, records(&cache)),
        family(keys::STREAMS, streams(&cache)),
        family(keys::BLOBS, blobs(&cache)),
        family(keys::META, small(&cache)),
        family(keys::SNAPSHOTS, snapshots(&cache)),
    ]
}

fn table(cache: &Cache, block: usize) -> BlockBasedOptions {
    let mut t = BlockBasedOptions::default();
    t.set_block_cache(cache);
    t.set_block_size(block);
    // Index and filter blocks count against the cache instead of growing with the log: 104 MB instead of 343 MB for
    // ten million events.
    t.set_cache_index_and_filter_blocks(true);
    t.set_cache_index_and_filter_blocks_with_high_priority(true);
    // The newest files are asked for every stream; they are few and small.
    t.set_pin_l0_filter_and_index_blocks_in_cache(true);
    t
}

fn records(cache: &Cache) -> Options {
    let mut o = Options::default();
    // Scans read from end to end, and single reads ask for neighbours. Every key that is asked for exists: no filter.
    o.set_block_based_table_factory(&table(cache, 32 << 10));
    // Keys only grow, so files never overlap and are moved down, not rewritten, as long as no level asks for another
    // compression: each record is written twice in its life (log and file). lz4 keeps the scan at memory speed, and
    // most of a record is hashes, which nothing compresses.
    o.set_compression_type(DBCompressionType::Lz4);
    // Outside writers may bring events of up to a megabyte: in files of their own they are moved by no compaction, and
    // blocks hold small records as if the large ones were not there.
    o.set_enable_blob_files(true);
    o.set_min_blob_size(32 << 10);
    o.set_blob_file_size(64 << 20);
    o.set_blob_compression_type(DBCompressionType::Lz4);
    o.set_write_buffer_size(32 << 20);
    // One being filled, one being flushed; a third would only delay noticing that the disk is too slow.
    o.set_max_write_buffer_number(2);
    o
}

fn streams(cache: &Cache) -> Options {
    let mut o = Options::default();
    // "Does this stream exist" is asked for every new stream, and the answer is almost always no: a filter over stream
    // names alone is a tenth of one over all keys.
    o.set_prefix_extractor(SliceTransform::create(
        "prooflog.stream",
        keys::stream_of,
        Some(keys::has_stream),
    ));
    o.set_memtable_prefix_bloom_ratio(0.05);
    let mut t = table(cache, 8 << 10);
    t.set_bloom_filter(10.0, false);
    t.set_whole_key_filtering(false);
    // A filter or index of a whole file is read as a whole, and with millions of streams each is as large as the cache:
    // in pieces, a question reads a few kilobytes. Without this, appends at ten million events are eight times slower.
    t.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    t.set_partition_filters(true);
    t.set_metadata_block_size(4 << 10);
    t.set_pin_top_level_index_and_filter(true);
    o.set_block_based_table_factory(&t);
    // Rewritten by compaction as streams interleave: cheap while it moves, dense once it has settled.
    o.set_compression_type(DBCompressionType::Lz4);
    o.set_bottommost_compression_type(DBCompressionType::Zstd);
    o.set_write_buffer_size(16 << 20);
    o
}

fn blobs(cache: &Cache) -> Options {
    let mut o = Options::default();
    o.set_block_based_table_factory(&table(cache, 8 << 10));
    // Proofs are field elements: compressing them costs time and gains nothing.
    o.set_compression_type(DBCompressionType::None);
    // Values live in files of their own, so that compaction moves keys and never megabytes.
    o.set_enable_blob_files(true);
    o.set_min_blob_size(4 << 10);
    o.set_blob_file_size(64 << 20);
    o.set_blob_compression_type(DBCompressionType::None);
    // Pruning deletes by age, so old files become garbage as a whole; half garbage is reason enough to rewrite one.
    o.set_enable_blob_gc(true);
    o.set_blob_gc_age_cutoff(0.5);
    o.set_blob_gc_force_threshold(0.5);
    // A deletion frees space only when it is compacted; once a day is soon enough for something kept for two weeks.
    o.set_periodic_compaction_seconds(24 * 3_600);
    o.set_write_buffer_size(16 << 20);
    o
}

fn snapshots(cache: &Cache) -> Options {
    let mut o = Options::default();
    o.set_block_based_table_factory(&table(cache, 16 << 10));
    // Structures with much repetition, written seldom, read whole.
    o.set_compression_type(DBCompressionType::Zstd);
    o.set_enable_blob_files(true);
    o.set_min_blob_size(64 << 10);
    o.set_blob_compression_type(DBCompressionType::Zstd);
    // Of many snapshots few are kept: any garbage is worth collecting.
    o.set_enable_blob_gc(true);
    o.set_blob_gc_age_cutoff(1.0);
    o.set_write_buffer_size(8 << 20);
    o
}

fn small(cache: &Cache) -> Options {
    let mut o = Options::default();
    o.set_block_based_table_factory(&table(cache, 4 << 10));
    o.set_write_buffer_size(1 << 20);
    o
}
