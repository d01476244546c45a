//! The log's sequence of commits in RocksDB.
