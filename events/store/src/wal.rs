//! Whether the write-ahead log stood still while another process looked at it.
//!
//! A look reads the tables and then the files of the write-ahead log, one after the other, and the writer goes on
//! meanwhile. What it appends to a file that was read already, and then to the next one, is a hole in what the look
//! shows; so is a file that it gave up in between. A look is whole if meanwhile no file went and at most one grew.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::dir;
use crate::error::StoreError;

/// The files of the write-ahead log at one moment: their lengths by number.
#[derive(Debug)]
pub(crate) struct WalFiles(BTreeMap<u64, u64>);

impl WalFiles {
    /// Lists those of the log in `dir`.
    pub(crate) fn list(dir: &Path) -> Result<Self, StoreError> {
        let database = dir::database(dir);
        lengths(&database).map(Self).map_err(StoreError::io("listing", &database))
    }

    /// Whether a look that was taken since `before` has no holes.
    pub(crate) fn whole_since(&self, before: &Self) -> bool {
        let changed = |(number, len): &(&u64, &u64)| before.0.get(number).unwrap_or(&0) != *len;
        before.0.keys().all(|number| self.0.contains_key(number))
            && self.0.iter().filter(changed).count() <= 1
    }
}

fn lengths(database: &Path) -> io::Result<BTreeMap<u64, u64>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(database)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
        let Some(number) = number else { continue };
        match entry.metadata() {
            Ok(metadata) => drop(found.insert(number, metadata.len())),
            // It went in this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_look_is_whole_if_no_file_went_and_at_most_one_grew() {
        let files = |files: &[(u64, u64)]| WalFiles(files.iter().copied().collect());
        let before = files(&[(7, 100), (9, 0)]);
        for (after, whole) in [
            (files(&[(7, 100), (9, 0)]), true),
            (files(&[(7, 150), (9, 0)]), true),
            // The next file is made before it is used.
            (files(&[(7, 150), (9, 0), (11, 0)]), true),
            (files(&[(7, 100), (9, 20)]), true),
            (files(&[(7, 150), (9, 20)]), false),
            (files(&[(7, 150), (9, 0), (11, 20)]), false),
            (files(&[(9, 0)]), false),
            (files(&[(9, 0), (11, 20)]), false),
        ] {
            assert_eq!(after.whole_since(&before), whole, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn only_files_of_the_write_ahead_log_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir::database(dir.path());
        std::fs::create_dir(&database).unwrap();
        for (name, bytes) in [("000012.log", 5), ("000013.sst", 6), ("LOG", 7), ("x.log", 8)] {
            std::fs::write(database.join(name), vec![0; bytes]).unwrap();
        }
        assert_eq!(WalFiles::list(dir.path()).unwrap().0, BTreeMap::from([(12, 5)]));
        assert!(WalFiles::list(&dir.path().join("nowhere")).is_err());
    }
}
