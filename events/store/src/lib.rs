//! The log's sequence of commits in RocksDB, and everything about its directory.
//!
//! [`open`] for the one process that writes, [`ReadOnlyStore`] for one look, [`FollowerStore`] for following from
//! another process, [`RocksStore::backup`] and [`restore`]. Reading order: `keys` and `options` (how things lie),
//! `head_file`, `open` (recovery), `store` (writing), `tables` (reading), `readers`, `backup`. Nothing above this
//! crate knows RocksDB. What a crash means: what was acknowledged is there at the next open, or the open says so.

mod backup;
mod dir;
mod error;
mod head_file;
mod keys;
mod open;
mod options;
mod readers;
mod scratch;
mod store;
mod tables;
mod wal;

pub use backup::{move_in, refuse_log, restore};
pub use dir::free_space;
pub use dir::{LOCK, Lock};
pub use error::{ErrorKind, StoreError};
pub use open::{BALLAST_BYTES, OpenNote, OpenOptions, OpenReport, open};
pub use readers::{FollowerStore, ReadOnlyStore};
pub use store::RocksStore;
pub use tables::FORMAT;
