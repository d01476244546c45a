//! The store on a real disk: conformance, crashes, damage, full disks, several processes, backups.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod backup;
mod blobs;
mod common;
mod conformance;
mod crash;
mod damage;
mod full_disk;
mod processes;
